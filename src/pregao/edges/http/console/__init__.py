"""
The console: pages that people keep open all day, at `/admin` and below `/console/`.

Pages only read. What a page changes it asks of the API, as any program would: one action, one room, one line in the
audit log. `pages/` holds them by subject, `entrance.py` how somebody comes in, `showing.py` what every page needs.
"""
