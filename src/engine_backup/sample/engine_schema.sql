-- Schema of the sample engine: the tables, columns and functions that backups and
-- restores touch, under the product's names, and a few that make dumps interesting.
-- Everything here is invented or much shortened.

CREATE TABLE schema_version (
    id            serial PRIMARY KEY,
    version       varchar(10) NOT NULL,
    script        varchar(255) NOT NULL,
    checksum      varchar(128),
    installed_by  varchar(63) NOT NULL,
    started_at    timestamp DEFAULT now(),
    ended_at      timestamp,
    state         varchar(15) NOT NULL,
    current       boolean NOT NULL,
    comment       text DEFAULT ''
);

CREATE TABLE vdc_options (
    option_id      serial PRIMARY KEY,
    option_name    varchar(100) NOT NULL,
    option_value   varchar(4000) NOT NULL,
    version        varchar(40) NOT NULL DEFAULT 'general',
    default_value  varchar(4000)
);
CREATE UNIQUE INDEX vdc_options_name_version ON vdc_options (option_name, version);

CREATE TABLE storage_pool (
    id                     uuid PRIMARY KEY,
    name                   varchar(40) NOT NULL,
    description            varchar(4000) NOT NULL,
    status                 integer NOT NULL,
    spm_vds_id             uuid,
    compatibility_version  varchar(40) NOT NULL,
    is_local               boolean
);

CREATE TABLE cluster (
    cluster_id             uuid PRIMARY KEY,
    name                   varchar(40) NOT NULL UNIQUE,
    description            varchar(4000),
    cpu_name               varchar(255),
    storage_pool_id        uuid REFERENCES storage_pool (id) ON DELETE SET NULL,
    compatibility_version  varchar(40) NOT NULL,
    architecture           integer NOT NULL DEFAULT 1
);

CREATE TABLE vds_static (
    vds_id          uuid PRIMARY KEY,
    vds_name        varchar(255) NOT NULL UNIQUE,
    vds_unique_id   varchar(128),
    host_name       varchar(255) NOT NULL,
    port            integer NOT NULL DEFAULT 54321,
    cluster_id      uuid NOT NULL REFERENCES cluster (cluster_id) ON DELETE RESTRICT,
    ssh_username    varchar(255) DEFAULT 'root',
    free_text_comment text
);

CREATE TABLE vds_dynamic (
    vds_id            uuid PRIMARY KEY REFERENCES vds_static (vds_id) ON DELETE CASCADE,
    status            integer NOT NULL,
    cpu_cores         integer,
    physical_mem_mb   integer,
    vm_count          integer DEFAULT 0,
    software_version  varchar(40)
);

CREATE TABLE vds_statistics (
    vds_id                 uuid PRIMARY KEY REFERENCES vds_static (vds_id) ON DELETE CASCADE,
    cpu_load               numeric(18,0) DEFAULT 0,
    usage_mem_percent      integer,
    ha_score               integer,
    ha_configured          boolean DEFAULT false NOT NULL,
    ha_active              boolean DEFAULT false NOT NULL,
    ha_global_maintenance  boolean DEFAULT false NOT NULL
);

CREATE TABLE vds_spm_id_map (
    storage_pool_id  uuid NOT NULL REFERENCES storage_pool (id) ON DELETE CASCADE,
    vds_spm_id       integer NOT NULL,
    vds_id           uuid NOT NULL REFERENCES vds_static (vds_id) ON DELETE CASCADE,
    PRIMARY KEY (storage_pool_id, vds_spm_id)
);

CREATE TABLE tags_vds_map (
    tag_id        uuid NOT NULL,
    vds_id        uuid NOT NULL REFERENCES vds_static (vds_id) ON DELETE CASCADE,
    _create_date  timestamptz DEFAULT now(),
    PRIMARY KEY (tag_id, vds_id)
);

CREATE TABLE vm_static (
    vm_guid        uuid PRIMARY KEY,
    vm_name        varchar(255) NOT NULL,
    mem_size_mb    integer NOT NULL,
    vmt_guid       uuid NOT NULL REFERENCES vm_static (vm_guid),
    cluster_id     uuid REFERENCES cluster (cluster_id),
    entity_type    varchar(32) NOT NULL CHECK (entity_type = 'VM' OR entity_type = 'TEMPLATE'),
    description    varchar(4000),
    free_text_comment text,
    auto_startup   boolean,
    lease_sd_id    uuid,
    origin         integer NOT NULL DEFAULT 0,
    num_of_sockets integer NOT NULL DEFAULT 1,
    _create_date   timestamptz DEFAULT timestamptz '2024-01-02 03:04:05+00'
);
CREATE INDEX idx_vm_static_vm_name ON vm_static (vm_name);
CREATE INDEX idx_vm_static_auto_startup ON vm_static (auto_startup) WHERE auto_startup;

CREATE TABLE vm_dynamic (
    vm_guid           uuid PRIMARY KEY REFERENCES vm_static (vm_guid) ON DELETE CASCADE,
    status            integer NOT NULL,
    vm_ip             text,
    run_on_vds        uuid REFERENCES vds_static (vds_id),
    migrating_to_vds  uuid REFERENCES vds_static (vds_id),
    exit_status       integer NOT NULL DEFAULT 0,
    exit_reason       smallint DEFAULT -1,
    exit_message      varchar(4000)
);

CREATE TABLE vm_statistics (
    vm_guid            uuid PRIMARY KEY REFERENCES vm_static (vm_guid) ON DELETE CASCADE,
    cpu_user           numeric(18,3) DEFAULT 0,
    cpu_sys            numeric(18,3) DEFAULT 0,
    usage_mem_percent  integer DEFAULT 0,
    disks_usage        text
);

CREATE TABLE vm_device (
    device_id    uuid NOT NULL,
    vm_id        uuid NOT NULL REFERENCES vm_static (vm_guid) ON DELETE CASCADE,
    type         varchar(30) NOT NULL,
    device       varchar(255) NOT NULL,
    spec_params  text,
    is_plugged   boolean,
    snapshot_id  uuid,
    PRIMARY KEY (device_id, vm_id)
);
CREATE INDEX idx_vm_device_vm_id_type ON vm_device (vm_id, type);

CREATE TABLE vm_interface (
    id        uuid PRIMARY KEY,
    vm_guid   uuid REFERENCES vm_static (vm_guid) ON DELETE CASCADE,
    vmt_guid  uuid REFERENCES vm_static (vm_guid) ON DELETE CASCADE,
    mac_addr  varchar(20),
    name      varchar(50) NOT NULL
);

CREATE TABLE network (
    id               uuid PRIMARY KEY,
    name             varchar(50) NOT NULL,
    description      varchar(4000),
    vlan_id          integer,
    storage_pool_id  uuid REFERENCES storage_pool (id) ON DELETE CASCADE,
    free_text_comment text
);

CREATE TABLE vds_interface (
    id            uuid PRIMARY KEY,
    vds_id        uuid NOT NULL REFERENCES vds_static (vds_id) ON DELETE CASCADE,
    name          varchar(50) NOT NULL,
    network_name  varchar(50),
    mac_addr      varchar(59),
    addr          varchar(20),
    speed         integer
);

CREATE TABLE tags (
    tag_id       uuid PRIMARY KEY,
    tag_name     varchar(50) NOT NULL,
    description  varchar(4000),
    parent_id    uuid
);

CREATE TABLE storage_domain_static (
    id                   uuid PRIMARY KEY,
    storage              varchar(250) NOT NULL,
    storage_name         varchar(250) NOT NULL,
    storage_domain_type  integer NOT NULL,
    storage_type         integer NOT NULL
);

CREATE TABLE storage_domain_dynamic (
    id                   uuid PRIMARY KEY REFERENCES storage_domain_static (id) ON DELETE CASCADE,
    available_disk_size  integer,
    used_disk_size       integer
);

CREATE TABLE storage_pool_iso_map (
    storage_id       uuid NOT NULL REFERENCES storage_domain_static (id) ON DELETE CASCADE,
    storage_pool_id  uuid NOT NULL REFERENCES storage_pool (id) ON DELETE CASCADE,
    status           integer,
    PRIMARY KEY (storage_id, storage_pool_id)
);

CREATE TABLE storage_server_connections (
    id            varchar(50) PRIMARY KEY,
    connection    varchar(250) NOT NULL,
    iqn           varchar(128),
    port          varchar(50),
    storage_type  integer NOT NULL
);

CREATE TABLE luns (
    lun_id           varchar(255) PRIMARY KEY,
    volume_group_id  varchar(50) NOT NULL,
    serial           varchar(4000),
    device_size      integer DEFAULT 0
);

CREATE TABLE lun_storage_server_connection_map (
    lun_id                     varchar(255) NOT NULL REFERENCES luns (lun_id) ON DELETE CASCADE,
    storage_server_connection  varchar(50) NOT NULL REFERENCES storage_server_connections (id) ON DELETE CASCADE,
    PRIMARY KEY (lun_id, storage_server_connection)
);

CREATE TABLE base_disks (
    disk_id           uuid PRIMARY KEY,
    disk_alias        varchar(255),
    disk_description  varchar(500),
    shareable         boolean DEFAULT false
);

CREATE TABLE images (
    image_guid      uuid PRIMARY KEY,
    creation_date   timestamptz NOT NULL,
    size            bigint NOT NULL,
    it_guid         uuid NOT NULL,
    imagestatus     integer,
    image_group_id  uuid REFERENCES base_disks (disk_id) ON DELETE CASCADE,
    active          boolean NOT NULL DEFAULT true
);

CREATE TABLE image_storage_domain_map (
    image_id           uuid NOT NULL REFERENCES images (image_guid) ON DELETE CASCADE,
    storage_domain_id  uuid NOT NULL REFERENCES storage_domain_static (id) ON DELETE CASCADE,
    PRIMARY KEY (image_id, storage_domain_id)
);

CREATE TABLE disk_vm_element (
    disk_id         uuid NOT NULL REFERENCES base_disks (disk_id) ON DELETE CASCADE,
    vm_id           uuid NOT NULL REFERENCES vm_static (vm_guid) ON DELETE CASCADE,
    is_boot         boolean NOT NULL DEFAULT false,
    disk_interface  varchar(32) NOT NULL,
    PRIMARY KEY (disk_id, vm_id)
);

CREATE TABLE snapshots (
    snapshot_id       uuid PRIMARY KEY,
    vm_id             uuid NOT NULL REFERENCES vm_static (vm_guid) ON DELETE CASCADE,
    snapshot_type     varchar(32) NOT NULL,
    status            varchar(32) NOT NULL,
    description       varchar(4000),
    creation_date     timestamptz NOT NULL,
    vm_configuration  text
);

CREATE TABLE users (
    user_id      uuid PRIMARY KEY,
    name         varchar(255),
    surname      varchar(255),
    domain       varchar(255) NOT NULL,
    username     varchar(255) NOT NULL,
    email        varchar(255),
    external_id  text NOT NULL,
    namespace    varchar(2048) NOT NULL DEFAULT '*',
    UNIQUE (domain, external_id)
);

CREATE TABLE roles (
    id           uuid PRIMARY KEY,
    name         varchar(126) NOT NULL UNIQUE,
    description  varchar(4000),
    is_readonly  boolean NOT NULL,
    role_type    integer NOT NULL
);

CREATE TABLE engine_sessions (
    id                 bigserial PRIMARY KEY,
    engine_session_id  text NOT NULL,
    user_id            uuid NOT NULL,
    user_name          varchar(255),
    source_ip          varchar(50),
    start_time         timestamptz
);

CREATE TABLE permissions (
    id              uuid PRIMARY KEY,
    role_id         uuid NOT NULL,
    ad_element_id   uuid NOT NULL,
    object_id       uuid NOT NULL,
    object_type_id  integer NOT NULL
);

CREATE TABLE audit_log (
    audit_log_id    bigserial PRIMARY KEY,
    user_id         uuid,
    user_name       varchar(255),
    vm_id           uuid,
    vm_name         varchar(255),
    vds_id          uuid,
    vds_name        varchar(255),
    log_time        timestamptz NOT NULL,
    log_type_name   varchar(100) DEFAULT '',
    log_type        integer NOT NULL,
    severity        integer NOT NULL,
    message         text NOT NULL,
    correlation_id  varchar(50),
    origin          varchar(255) DEFAULT 'oVirt',
    custom_data     text DEFAULT '',
    deleted         boolean DEFAULT false
);
CREATE INDEX idx_audit_log_log_time ON audit_log (log_time);
CREATE INDEX idx_audit_log_vm_name ON audit_log (vm_name);

CREATE TABLE engine_backup_log (
    scope           varchar(64),
    done_at         timestamptz,
    is_passed       boolean,
    output_message  text,
    fqdn            varchar(255),
    log_path        text,
    PRIMARY KEY (scope, done_at)
);

CREATE TABLE dwh_history_timekeeping (
    var_name      varchar(50) NOT NULL PRIMARY KEY,
    var_value     varchar(255),
    var_datetime  timestamptz
);

-- Transient data: a restore is expected to empty these (and, through the
-- foreign keys, what hangs on them).

CREATE TABLE job (
    job_id       uuid PRIMARY KEY,
    action_type  varchar(50) NOT NULL,
    description  text NOT NULL,
    status       varchar(32) NOT NULL,
    start_time   timestamptz NOT NULL
);
CREATE TABLE job_subject_entity (
    job_id       uuid NOT NULL REFERENCES job (job_id) ON DELETE CASCADE,
    entity_id    uuid NOT NULL,
    entity_type  varchar(32) NOT NULL,
    PRIMARY KEY (job_id, entity_id)
);
CREATE TABLE step (
    step_id      uuid PRIMARY KEY,
    job_id       uuid NOT NULL REFERENCES job (job_id) ON DELETE CASCADE,
    step_type    varchar(32) NOT NULL,
    description  text NOT NULL,
    status       varchar(32) NOT NULL
);
CREATE TABLE step_subject_entity (
    step_id      uuid NOT NULL REFERENCES step (step_id) ON DELETE CASCADE,
    entity_id    uuid NOT NULL,
    entity_type  varchar(32) NOT NULL,
    PRIMARY KEY (step_id, entity_id)
);
CREATE TABLE async_tasks (
    task_id       uuid PRIMARY KEY,
    action_type   integer NOT NULL,
    status        integer NOT NULL,
    result        integer NOT NULL,
    vdsm_task_id  uuid
);
CREATE TABLE async_tasks_entities (
    async_task_id  uuid NOT NULL REFERENCES async_tasks (task_id) ON DELETE CASCADE,
    entity_id      uuid NOT NULL,
    entity_type    varchar(128)
);
CREATE TABLE business_entity_snapshot (
    id               uuid PRIMARY KEY,
    command_id       uuid NOT NULL,
    entity_id        varchar(128),
    entity_snapshot  text,
    snapshot_type    integer
);
CREATE TABLE command_entities (
    command_id          uuid PRIMARY KEY,
    command_type        integer NOT NULL,
    command_parameters  text,
    status              varchar(20),
    created_at          timestamptz
);
CREATE TABLE command_assoc_entities (
    command_id   uuid NOT NULL REFERENCES command_entities (command_id) ON DELETE CASCADE,
    entity_id    uuid,
    entity_type  varchar(128)
);
CREATE TABLE image_transfers (
    command_id  uuid PRIMARY KEY REFERENCES command_entities (command_id) ON DELETE CASCADE,
    phase       integer NOT NULL,
    disk_id     uuid REFERENCES base_disks (disk_id)
);

-- Things that exist only to make dumps interesting.

CREATE TABLE "Odd Names" (
    "Key"           integer PRIMARY KEY,
    "select"        text,
    "with ""quote"" inside" bytea
);

CREATE TABLE custom_blobs (
    blob_id  integer PRIMARY KEY,
    payload  bytea NOT NULL,
    note     text
);

CREATE SEQUENCE mac_pool_seq START WITH 4096 INCREMENT BY 16 MINVALUE 4096;

CREATE FUNCTION touch_vm() RETURNS trigger
    LANGUAGE plpgsql
    AS '
BEGIN
    IF NEW.description IS NULL THEN
        NEW.description := ''no description'';
    END IF;
    RETURN NEW;
END;
';
CREATE TRIGGER vm_static_touch BEFORE INSERT ON vm_static
    FOR EACH ROW EXECUTE PROCEDURE touch_vm();

-- The event that a backup reports: the product's name, arguments and effects (reference 8).
CREATE FUNCTION LogEngineBackupEvent(
    scope varchar(64), done_at timestamptz, status integer,
    output_message text, fqdn varchar(255), log_path text
) RETURNS void
    LANGUAGE plpgsql
    AS $procedure$
DECLARE
    event     text;
    number    integer;
    severity  integer := 0;
BEGIN
    IF $3 = 0 THEN
        event := 'ENGINE_BACKUP_STARTED';
        number := 9024;
    ELSIF $3 = 1 THEN
        event := 'ENGINE_BACKUP_COMPLETED';
        number := 9025;
        UPDATE audit_log SET deleted = true WHERE origin = 'oVirt' AND log_type IN (9022, 9023, 9026);
    ELSE
        event := 'ENGINE_BACKUP_FAILED';
        number := 9026;
        severity := 2;
    END IF;
    IF $3 <> 0 THEN
        INSERT INTO engine_backup_log VALUES ($1, $2, $3 = 1, $4, $5, $6);
    END IF;
    INSERT INTO audit_log (log_time, log_type_name, log_type, severity, message)
        VALUES ($2, event, number, severity, $4);
END;
$procedure$;

CREATE VIEW all_disks_for_vms AS
    SELECT b.disk_id, b.disk_alias, i.image_guid, i.size, i.active,
           m.storage_domain_id AS storage_id, d.vm_id
      FROM base_disks b
      JOIN images i ON i.image_group_id = b.disk_id
      JOIN vm_device d ON d.device_id = b.disk_id AND d.type = 'disk'
      LEFT JOIN image_storage_domain_map m ON m.image_id = i.image_guid;

CREATE VIEW vms_summary AS
    SELECT s.vm_guid, s.vm_name, d.status, h.vds_name AS host
      FROM vm_static s
      JOIN vm_dynamic d USING (vm_guid)
      LEFT JOIN vds_static h ON h.vds_id = d.run_on_vds
     WHERE s.entity_type = 'VM';

-- Removal of a host and of a storage domain, much shortened.
CREATE FUNCTION deletevds(v_vds_id uuid) RETURNS void
    LANGUAGE plpgsql
    AS '
BEGIN
    DELETE FROM tags_vds_map WHERE vds_id = v_vds_id;
    UPDATE audit_log SET deleted = true
        WHERE vds_id = v_vds_id AND severity >= 10 AND log_type BETWEEN 9000 AND 9005;
    DELETE FROM vds_statistics WHERE vds_id = v_vds_id;
    DELETE FROM vds_dynamic WHERE vds_id = v_vds_id;
    DELETE FROM vds_static WHERE vds_id = v_vds_id;
    DELETE FROM permissions WHERE object_id = v_vds_id;
END;
';
CREATE FUNCTION Force_Delete_storage_domain(v_storage_domain_id uuid) RETURNS void
    LANGUAGE plpgsql
    AS '
BEGIN
    CREATE TEMPORARY TABLE gone_disks ON COMMIT DROP AS
        SELECT DISTINCT disk_id, vm_id FROM all_disks_for_vms
         WHERE storage_id = v_storage_domain_id;
    DELETE FROM permissions
        WHERE object_id IN (SELECT vm_id FROM gone_disks)
           OR object_id IN (SELECT disk_id FROM gone_disks)
           OR object_id = v_storage_domain_id;
    DELETE FROM vm_static WHERE vm_guid IN (SELECT vm_id FROM gone_disks);
    DELETE FROM base_disks WHERE disk_id IN (SELECT disk_id FROM gone_disks);
    DELETE FROM storage_domain_dynamic WHERE id = v_storage_domain_id;
    DELETE FROM storage_domain_static WHERE id = v_storage_domain_id;
END;
';
