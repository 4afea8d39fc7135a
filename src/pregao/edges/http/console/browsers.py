"""What a browser says it is, in the few words people know it by."""

import re

# The first that is found counts: most say that they are several of these.
BROWSERS = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("HeadlessChrome", "Chrome"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)
PROGRAM = re.compile(r"[\w.+-]+")
CHARACTERS_MAX = 40


def browser_of(user_agent: str) -> str:
    """Give browser and system; of a program its first word; nothing where it said nothing."""
    browser = next((name for sign, name in BROWSERS if f"{sign}/" in user_agent), "")
    system = next((name for sign, name in SYSTEMS if sign in user_agent), "")
    if not browser:
        found = PROGRAM.match(user_agent)
        return found[0][:CHARACTERS_MAX] if found else ""
    return f"{browser}, {system}" if system else browser
