"""Tables and answers of the SubLoRA study from tidy frames."""
