"""Technical analysis as a vote: eight voters look at every candle, and three of one side decide."""
