"""Methods of graph condensation; one family a file. No module here imports torch at its top."""
