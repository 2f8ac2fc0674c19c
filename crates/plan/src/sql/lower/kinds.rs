//! Kind names of what is refused or runs as written: every statement of the grammar has one.

use pg_query::protobuf::{AlterTableType, ObjectType};

/// A verb with the name of what it is done to.
macro_rules! of_object {
    ($verb:literal, $object:expr) => {
        match $object {
            ObjectType::ObjectAccessMethod => concat!($verb, "_access_method"),
            ObjectType::ObjectAggregate => concat!($verb, "_aggregate"),
            ObjectType::ObjectAttribute => concat!($verb, "_attribute"),
            ObjectType::ObjectCast => concat!($verb, "_cast"),
            ObjectType::ObjectColumn => concat!($verb, "_column"),
            ObjectType::ObjectCollation => concat!($verb, "_collation"),
            ObjectType::ObjectConversion => concat!($verb, "_conversion"),
            ObjectType::ObjectDatabase => concat!($verb, "_database"),
            ObjectType::ObjectDomain => concat!($verb, "_domain"),
            ObjectType::ObjectDomconstraint => concat!($verb, "_domain_constraint"),
            ObjectType::ObjectEventTrigger => concat!($verb, "_event_trigger"),
            ObjectType::ObjectExtension => concat!($verb, "_extension"),
            ObjectType::ObjectFdw => concat!($verb, "_foreign_data_wrapper"),
            ObjectType::ObjectForeignServer => concat!($verb, "_server"),
            ObjectType::ObjectForeignTable => concat!($verb, "_foreign_table"),
            ObjectType::ObjectFunction => concat!($verb, "_function"),
            ObjectType::ObjectIndex => concat!($verb, "_index"),
            ObjectType::ObjectLanguage => concat!($verb, "_language"),
            ObjectType::ObjectMatview => concat!($verb, "_materialized_view"),
            ObjectType::ObjectOpclass => concat!($verb, "_operator_class"),
            ObjectType::ObjectOperator => concat!($verb, "_operator"),
            ObjectType::ObjectOpfamily => concat!($verb, "_operator_family"),
            ObjectType::ObjectPolicy => concat!($verb, "_policy"),
            ObjectType::ObjectProcedure => concat!($verb, "_procedure"),
            ObjectType::ObjectPublication => concat!($verb, "_publication"),
            ObjectType::ObjectRole => concat!($verb, "_role"),
            ObjectType::ObjectRoutine => concat!($verb, "_routine"),
            ObjectType::ObjectRule => concat!($verb, "_rule"),
            ObjectType::ObjectSchema => concat!($verb, "_schema"),
            ObjectType::ObjectSequence => concat!($verb, "_sequence"),
            ObjectType::ObjectSubscription => concat!($verb, "_subscription"),
            ObjectType::ObjectStatisticExt => concat!($verb, "_statistics"),
            ObjectType::ObjectTabconstraint => concat!($verb, "_constraint"),
            ObjectType::ObjectTable => concat!($verb, "_table"),
            ObjectType::ObjectTablespace => concat!($verb, "_tablespace"),
            ObjectType::ObjectTransform => concat!($verb, "_transform"),
            ObjectType::ObjectTrigger => concat!($verb, "_trigger"),
            ObjectType::ObjectTsconfiguration => concat!($verb, "_text_search_configuration"),
            ObjectType::ObjectTsdictionary => concat!($verb, "_text_search_dictionary"),
            ObjectType::ObjectTsparser => concat!($verb, "_text_search_parser"),
            ObjectType::ObjectTstemplate => concat!($verb, "_text_search_template"),
            ObjectType::ObjectType => concat!($verb, "_type"),
            ObjectType::ObjectUserMapping => concat!($verb, "_user_mapping"),
            ObjectType::ObjectView => concat!($verb, "_view"),
            ObjectType::ObjectLargeobject => concat!($verb, "_large_object"),
            ObjectType::ObjectAmop
            | ObjectType::ObjectAmproc
            | ObjectType::ObjectDefault
            | ObjectType::ObjectDefacl
            | ObjectType::ObjectParameterAcl
            | ObjectType::ObjectPublicationNamespace
            | ObjectType::ObjectPublicationRel
            | ObjectType::Undefined => concat!($verb, "_object"),
        }
    };
}

/// A kind's name as SQL writes it: `SET LOGGED`.
pub(crate) fn words(kind: &str) -> String {
    kind.replace('_', " ").to_uppercase()
}

/// CREATE, for what is defined by a list of options.
pub(crate) fn create(object: ObjectType) -> &'static str {
    of_object!("create", object)
}

/// DROP
pub(crate) fn drop(object: ObjectType) -> &'static str {
    of_object!("drop", object)
}

/// ALTER … RENAME TO
pub(crate) fn rename(object: ObjectType) -> &'static str {
    of_object!("rename", object)
}

/// ALTER …
pub(crate) fn alter(object: ObjectType) -> &'static str {
    of_object!("alter", object)
}

/// A subcommand of ALTER TABLE.
pub(crate) fn subcommand(subtype: AlterTableType) -> &'static str {
    use AlterTableType as At;
    match subtype {
        At::AtAddColumn | At::AtAddColumnToView => "add_column",
        At::AtColumnDefault | At::AtCookedColumnDefault => "set_default",
        At::AtDropNotNull => "drop_not_null",
        At::AtSetNotNull => "set_not_null",
        At::AtSetExpression => "set_expression",
        At::AtDropExpression => "drop_expression",
        At::AtSetStatistics => "set_statistics",
        At::AtSetOptions | At::AtResetOptions => "set_column_options",
        At::AtSetStorage => "set_storage",
        At::AtSetCompression => "set_compression",
        At::AtDropColumn => "drop_column",
        At::AtAddIndex | At::AtReAddIndex | At::AtAddIndexConstraint => "add_index_constraint",
        At::AtAddConstraint | At::AtReAddConstraint | At::AtReAddDomainConstraint => "add_constraint",
        At::AtAlterConstraint => "alter_constraint",
        At::AtValidateConstraint => "validate_constraint",
        At::AtDropConstraint => "drop_constraint",
        At::AtAlterColumnType => "change_type",
        At::AtAlterColumnGenericOptions | At::AtGenericOptions => "set_foreign_options",
        At::AtChangeOwner => "change_owner",
        At::AtClusterOn | At::AtDropCluster => "set_cluster_index",
        At::AtSetLogged => "set_logged",
        At::AtSetUnLogged => "set_unlogged",
        At::AtDropOids => "set_without_oids",
        At::AtSetAccessMethod => "set_access_method",
        At::AtSetTableSpace => "set_tablespace",
        At::AtSetRelOptions | At::AtResetRelOptions | At::AtReplaceRelOptions => "set_storage_parameters",
        At::AtEnableTrig
        | At::AtEnableAlwaysTrig
        | At::AtEnableReplicaTrig
        | At::AtEnableTrigAll
        | At::AtEnableTrigUser => "enable_trigger",
        At::AtDisableTrig | At::AtDisableTrigAll | At::AtDisableTrigUser => "disable_trigger",
        At::AtEnableRule | At::AtEnableAlwaysRule | At::AtEnableReplicaRule => "enable_rule",
        At::AtDisableRule => "disable_rule",
        At::AtAddInherit => "add_inherit",
        At::AtDropInherit => "drop_inherit",
        At::AtAddOf | At::AtDropOf => "set_table_type",
        At::AtReplicaIdentity => "set_replica_identity",
        At::AtEnableRowSecurity | At::AtForceRowSecurity => "enable_row_security",
        At::AtDisableRowSecurity | At::AtNoForceRowSecurity => "disable_row_security",
        At::AtAttachPartition => "attach_partition",
        At::AtDetachPartition | At::AtDetachPartitionFinalize => "detach_partition",
        At::AtAddIdentity => "add_identity",
        At::AtSetIdentity => "set_identity",
        At::AtDropIdentity => "drop_identity",
        At::AtReAddComment | At::AtReAddStatistics | At::Undefined => "alter_table",
    }
}
