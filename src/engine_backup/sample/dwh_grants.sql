-- What engine-setup grants to the dashboards on the history database; run as the superuser, so that
-- the default privileges belong to `postgres`, as on a real machine (reference 1.6).
GRANT USAGE ON SCHEMA public TO ovirt_engine_history_grafana;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO ovirt_engine_history_grafana;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO ovirt_engine_history_grafana;
