"""What a set is optimised for; one family a file, free of any modality."""
