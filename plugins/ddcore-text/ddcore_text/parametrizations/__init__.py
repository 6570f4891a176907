"""What a distilled set of text is stored as; one a file."""

from .embeddings import EmbeddingSequences, embedding_set

__all__ = ["EmbeddingSequences", "embedding_set"]
