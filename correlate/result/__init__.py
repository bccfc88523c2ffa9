"""What comes out: columns inside, values and words outside."""
