-- What a fingerprint reads of a database, as views of the session.
-- What extensions brought belongs to them, and dumps leave it out (PostgreSQL manual, pg_depend: deptype e).

CREATE TEMPORARY VIEW own AS
    SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relkind AS kind, c.relowner AS owner, c.relacl AS acl
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname <> 'information_schema' AND left(n.nspname, 3) <> 'pg_'
       AND NOT EXISTS (SELECT FROM pg_depend d
                        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e');

CREATE TEMPORARY VIEW own_function AS
    SELECT p.oid, p.proowner AS owner, p.proacl AS acl
      FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
     WHERE n.nspname <> 'information_schema' AND left(n.nspname, 3) <> 'pg_'
       AND NOT EXISTS (SELECT FROM pg_depend d
                        WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e');

CREATE TEMPORARY VIEW tables AS SELECT schema, name FROM own WHERE kind IN ('r', 'm') ORDER BY 1, 2;

CREATE TEMPORARY VIEW sequences AS SELECT schema, name FROM own WHERE kind = 'S' ORDER BY 1, 2;

CREATE TEMPORARY VIEW owners AS
    SELECT kind::text || ' ' || schema || '.' || name, owner::regrole::text FROM own WHERE kind IN ('r', 'm', 'v', 'S')
    UNION ALL
    SELECT 'function ' || oid::regprocedure::text, owner::regrole::text FROM own_function;

-- An absent ACL means the built-in default: both forms of the same thing must look alike.
CREATE TEMPORARY VIEW privileges AS
    SELECT schema || '.' || name AS object, '' AS part, grantee::regrole::text, privilege_type, is_grantable::text
      FROM own, aclexplode(coalesce(acl, acldefault(CASE kind WHEN 'S' THEN 's'::"char" ELSE 'r' END, owner)))
     WHERE kind IN ('r', 'm', 'v', 'S')
    UNION ALL
    SELECT schema || '.' || name, attname, grantee::regrole::text, privilege_type, is_grantable::text
      FROM own JOIN pg_attribute ON attrelid = own.oid AND attacl IS NOT NULL, aclexplode(attacl)
    UNION ALL
    SELECT oid::regprocedure::text, '', grantee::regrole::text, privilege_type, is_grantable::text
      FROM own_function, aclexplode(coalesce(acl, acldefault('f', owner)));

CREATE TEMPORARY VIEW definitions AS
    SELECT 'column' AS kind, schema || '.' || name AS object, attname::text AS part, format_type(atttypid, atttypmod) AS type,
           attnotnull || ' ' || coalesce(pg_get_expr(adbin, adrelid), '') AS definition
      FROM own JOIN pg_attribute ON attrelid = own.oid AND attnum > 0 AND NOT attisdropped
               LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
     WHERE own.kind IN ('r', 'm', 'v')
    UNION ALL
    SELECT 'view', schema || '.' || name, '', '', pg_get_viewdef(oid) FROM own WHERE own.kind IN ('v', 'm')
    UNION ALL
    SELECT 'index', schema || '.' || name, '', '', pg_get_indexdef(oid) FROM own WHERE own.kind = 'i'
    UNION ALL
    SELECT 'constraint', schema || '.' || name, conname, '', pg_get_constraintdef(c.oid)
      -- NOT NULL stands with the column; since PostgreSQL 18 it has a name too, which partitions do not keep
      FROM own JOIN pg_constraint c ON conrelid = own.oid AND contype <> 'n'
    UNION ALL
    SELECT 'trigger', schema || '.' || name, tgname, '', pg_get_triggerdef(t.oid)
      FROM own JOIN pg_trigger t ON tgrelid = own.oid AND NOT tgisinternal
    UNION ALL
    SELECT 'function', oid::regprocedure::text, '', '', pg_get_functiondef(oid) FROM own_function;

CREATE TEMPORARY VIEW cluster_privileges AS
    SELECT 'default', defaclrole::regrole::text, defaclobjtype::text, array_to_string(defaclacl, ' ') FROM pg_default_acl
    UNION ALL
    SELECT 'database', datname, '', coalesce(array_to_string(datacl, ' '), '')
      FROM pg_database WHERE datname = current_database();
