"""What a certificate says, how one is issued, and how anyone verifies it."""
