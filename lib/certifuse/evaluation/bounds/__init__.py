"""The inequalities and what may be claimed by them: counts, losses and bits in, numbers out."""
