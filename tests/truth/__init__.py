"""What really happened, worked out by the tests themselves, against what ttrace says happened."""
