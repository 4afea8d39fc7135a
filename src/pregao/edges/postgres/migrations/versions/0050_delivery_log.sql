-- The log of one channel is read from its latest alert on.

CREATE INDEX alert_deliveries_of_channel ON pregao.alert_deliveries (channel_id, alert_id);
