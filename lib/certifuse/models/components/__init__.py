"""Networks on disk: one file for each expert, fusion module and head, and how they are put together again."""
