"""What a distilled set of text is stored as; one a file."""

from .embeddings import EmbeddingSequences, embedding_set
from .generated import GeneratedTexts
from .vocabulary import VocabularyDistributions, vocabulary_set
from .written import WrittenTexts, texts_of

__all__ = [
    "EmbeddingSequences",
    "GeneratedTexts",
    "VocabularyDistributions",
    "WrittenTexts",
    "embedding_set",
    "texts_of",
    "vocabulary_set",
]
