-- What an account may lose, hold and aim for; of a subscription null is not set: the bot's rules count.
ALTER TABLE pregao.bots ADD risk jsonb NOT NULL DEFAULT '{}';
ALTER TABLE pregao.subscriptions ADD custom_risk jsonb;
