"""Models on disk: one file of numbers and one manifest each, in the lab's own folder."""
