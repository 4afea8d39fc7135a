"""Ways to reach people: Discord, Telegram, e-mail, and whatever else a library speaks."""
