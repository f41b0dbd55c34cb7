"""theta = theta0 + P w: projectors, budgets and how they are split, levels and codebooks."""
