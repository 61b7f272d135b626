"""What moves in a notebook. Each widget leaves an ordinary picture behind that shows the same thing."""
