"""
A second factor: codes of an app that change every thirty seconds (RFC 6238), and recovery codes for the day it is lost.

Pure: the secret and the time are given. A code is good for its own step and the ones beside it, because clocks differ,
and never for a step that was taken before: whoever looked over somebody's shoulder has seen a code that is spent.
"""

import hmac
import re
from datetime import datetime, timedelta

import pyotp

from pregao.accounts.sessions import SecondFactor

STEP_SECONDS = 30  # RFC 6238's, and what every app takes without being told
STEPS_BESIDE = 1  # taken before and after the present one: clocks of phones are half a minute off at most
ISSUER = "Pregao"  # what the app writes above the code; some apps cannot write the tilde
RECOVERY_CODES = 10
RECOVERY_CHARACTERS = (
    16  # of 32 each: 80 bits, which nobody finds by trying, so SHA-256 is enough to keep them
)
HALF_LOGIN_LASTS = timedelta(minutes=5)  # long enough to fetch a phone
WRONG_CODES_MAX = 30  # in a day, from wherever: three of a million are good at a time, so a year's guesses find one in thirty
WRONG_CODES_WINDOW = timedelta(days=1)
CODE_CHARACTERS_MAX = 40  # of what somebody types, with blanks and dashes

APP_CODE = re.compile(r"[0-9]{6}", re.ASCII)
RECOVERY_CODE = re.compile(rf"[a-z2-7]{{{RECOVERY_CHARACTERS}}}")


def plain(typed: str) -> str:
    """Give a code without what people put into it to read it: blanks, dashes, capitals."""
    return re.sub(r"[\s-]", "", typed).lower()


def is_recovery_code(code: str) -> bool:
    """Say whether a plain code looks like one for the day the app is lost."""
    return RECOVERY_CODE.fullmatch(code) is not None


def step_of(code: str, *, factor: SecondFactor, now: datetime) -> int | None:
    """Give the step whose code of the app this is; None where it is none, or was taken, or something older was."""
    if not APP_CODE.fullmatch(code):
        return None
    present = int(now.timestamp()) // STEP_SECONDS
    made = pyotp.HOTP(factor.secret)
    for step in range(present - STEPS_BESIDE, present + STEPS_BESIDE + 1):
        if step > factor.last_step and hmac.compare_digest(made.at(step), code):
            return step
    return None


def address_of(secret: str, *, email: str) -> str:
    """Give what an app reads from the picture: whose code it is, and what makes it."""
    return pyotp.TOTP(secret, interval=STEP_SECONDS).provisioning_uri(name=email, issuer_name=ISSUER)
