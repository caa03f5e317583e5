-- The dashboards' own database (SQLite).
CREATE TABLE org (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL);
CREATE TABLE dashboard (id INTEGER PRIMARY KEY AUTOINCREMENT, slug TEXT NOT NULL, title TEXT NOT NULL, data TEXT NOT NULL, org_id INTEGER REFERENCES org(id));
CREATE TABLE data_source (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, url TEXT NOT NULL, "user" TEXT, secure BLOB);
CREATE UNIQUE INDEX uqe_org_name ON org (name);
INSERT INTO org (name) VALUES ('Main Org.');
WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 60)
INSERT INTO dashboard (slug, title, data, org_id)
    SELECT 'dashboard-' || n, 'Inventory – Übersicht ' || n, '{"panels":[' || n || ',{"query":"SELECT * FROM v4_5_latest_vm_status"}]}', 1 FROM number;
INSERT INTO data_source (name, url, "user", secure) VALUES ('oVirt DWH', 'localhost:5432', 'ovirt_engine_history_grafana', x'00ff');
