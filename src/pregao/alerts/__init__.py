"""Takes what happened and what stands in the state; gives alerts, and carries each to whoever should hear of it."""
