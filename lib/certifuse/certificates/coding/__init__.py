"""From symbols to bits and back."""
