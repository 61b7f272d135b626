"""What trained networks have learned: where their features put a face, and what can be read from them."""
