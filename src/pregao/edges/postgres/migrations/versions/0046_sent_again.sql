-- Signals that an operator has sent again: which one each repeats. A signal is retried once; its retry may be retried.

ALTER TABLE pregao.signals ADD COLUMN again_of uuid;
CREATE INDEX signals_again ON pregao.signals (again_of) WHERE again_of IS NOT NULL;
CREATE UNIQUE INDEX signals_retried ON pregao.signals (again_of) WHERE source = 'retry';

-- What sends orders is order management.
CREATE OR REPLACE FUNCTION pregao.action_type_of(path text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
SELECT CASE
    WHEN path LIKE '/api/v1/signals/%/retry' OR path LIKE '/api/v1/signals/%/replay' THEN 'order_management'
    WHEN path LIKE '%/import' OR path LIKE '%/import-csv' THEN 'file_import'
    WHEN path LIKE '%/strategies%' THEN 'url_management'
    WHEN path LIKE '%/reset-daily-loss' OR path LIKE '%/reprocess%' THEN 'manual_override'
    WHEN path LIKE '/finviz/%' THEN 'config_update'
    WHEN path LIKE '/admin/%' THEN
        CASE WHEN split_part(path, '/', 3) IN ('finviz', 'system') THEN 'config_update'
             WHEN split_part(path, '/', 3) = 'engine' THEN 'engine_control'
             WHEN split_part(path, '/', 3) = 'webhook' THEN 'url_management'
             WHEN split_part(path, '/', 3) = 'webhook-rate-limiter' THEN 'rate_limiter_control'
             WHEN split_part(path, '/', 3) = 'metrics' THEN 'metrics_reset'
             WHEN split_part(path, '/', 3) IN ('clear-database', 'database', 'export-csv') THEN 'database_operation'
             WHEN split_part(path, '/', 3) IN ('order', 'orders', 'sell-all', 'sell-all-queue') THEN 'order_management'
             ELSE 'system_maintenance' END
    ELSE
        CASE CASE WHEN path LIKE '/api/v1/admin/%' THEN split_part(path, '/', 5)
                  WHEN path LIKE '/api/v1/%' OR path LIKE '/api/admin/%' THEN split_part(path, '/', 4)
                  ELSE split_part(path, '/', 3) END
            WHEN 'screener' THEN 'engine_control' WHEN 'destinations' THEN 'url_management'
            WHEN 'operations' THEN 'order_management' WHEN 'trade' THEN 'order_management'
            WHEN 'flatten' THEN 'order_management' WHEN 'sell-all' THEN 'order_management'
            WHEN 'positions' THEN 'order_management' WHEN 'orders' THEN 'order_management'
            WHEN 'approvals' THEN 'manual_override' WHEN 'trading-state' THEN 'manual_override'
            WHEN 'kill-switch' THEN 'manual_override' WHEN 'drift' THEN 'manual_override'
            WHEN 'stops' THEN 'manual_override' WHEN 'breakers' THEN 'manual_override'
            WHEN 'bots' THEN 'config_update' WHEN 'bot-subscriptions' THEN 'config_update'
            WHEN 'exchange-accounts' THEN 'config_update' WHEN 'users' THEN 'config_update'
            WHEN 'auth' THEN 'config_update' WHEN 'signals' THEN 'database_operation'
            ELSE 'system_maintenance' END
    END
$$;
