"""The start page of a study: what was studied, the answers, and everything else in one file that a browser opens."""
