"""The methods of the field; one paper a file."""
