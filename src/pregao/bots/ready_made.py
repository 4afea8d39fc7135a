"""The bots a desk brings along: nobody made them, so nobody has to finish what they begin."""

from pregao.bots.by_hand import BY_HAND_PATH

DEMO_PATH = "demo-first-steps-24"
DEFAULT_PATH = "default-webhook-in"
READY_MADE = frozenset({DEMO_PATH, DEFAULT_PATH, BY_HAND_PATH})
"""Their webhook paths."""
