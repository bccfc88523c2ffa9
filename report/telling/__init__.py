"""What is told of a result, which first, and what is left out: decided here once, for every form to lay out."""
