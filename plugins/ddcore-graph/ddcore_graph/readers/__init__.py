"""Public layouts of graph data, as they are downloaded."""
