"""What methods on graphs compare, where the idea is of graphs; all else is the core's."""
