//! Everything that is neither reading nor writing rows: settings, transactions, prepared statements, roles,
//! views.

use std::collections::BTreeSet;

use rotabase_engine::env::Timestamp;
use rotabase_queries::catalog::PUBLIC;
use rotabase_queries::error::{Result, SqlError, SqlState};
use rotabase_queries::exec::Batch;
use rotabase_queries::sql::{
    self, CreateView, Discard, Execute, Grant, GrantObjects, Prepare, RoleName, RoleOptions, Set,
    Utility,
};
use rotabase_queries::types::{Datum, PgType};
use std::sync::Arc;

use super::api::{Execution, Rows, RowsTag, Severity};
use super::block::Status;
use super::channels::VIOLATIONS_CHANNEL;
use super::client::Session;
use super::running;
use super::settings::SessionSettings;
use crate::replica::{BARRIER, INSTANT_BARRIER};
use crate::roles::{self, Privilege, Role, StoredView};
use crate::scram::{SALT_BYTES, ScramVerifier};

impl Session {
    /// Carries out a statement that needs no plan.
    pub(crate) async fn utility(
        &mut self,
        utility: &Utility,
        statement: &running::Statement,
    ) -> Result<Execution> {
        match utility {
            Utility::Begin(modes, _) => self.begin(*modes)?,
            Utility::Commit { chain } => return self.commit(*chain, statement).await,
            Utility::Rollback { chain } => self.roll_back(*chain)?,
            Utility::Savepoint(name) => self.savepoint(name)?,
            Utility::Release(name) => self.release(name)?,
            Utility::RollbackTo(name) => self.roll_back_to(name)?,
            Utility::SetTransaction(modes) => self.set_transaction(*modes)?,
            Utility::SetSessionCharacteristics(modes) => self.set_characteristics(*modes)?,
            Utility::Set(set) => self.set(set)?,
            Utility::Reset(name) => {
                self.settings.reset(name)?;
                self.follow_defaults();
            }
            Utility::ResetAll => {
                self.settings.reset_all()?;
                self.follow_defaults();
            }
            Utility::Show(name) if name.eq_ignore_ascii_case(INSTANT_BARRIER) => {
                return self.show_instant_barrier(statement).await;
            }
            Utility::Show(name) if name.eq_ignore_ascii_case(BARRIER) => {
                return self.show_barrier(statement).await;
            }
            Utility::Show(name) => return self.show(name),
            Utility::ShowAll => return self.show_all(),
            Utility::Discard(what) => self.discard(*what)?,
            Utility::Fetch(fetch) => return self.fetch(fetch).await,
            Utility::Move(fetch) => return self.move_cursor(fetch).await,
            Utility::Close(Some(name)) => {
                if !self.cursors.close(name) {
                    return Err(SqlError::new(
                        SqlState::UNDEFINED_CURSOR,
                        format!("cursor \"{name}\" does not exist"),
                    ));
                }
            }
            Utility::Close(None) => self.cursors.clear(),
            Utility::Deallocate(Some(name)) => {
                self.statements.get(name)?;
                self.statements.remove(name);
            }
            Utility::Deallocate(None) => self.statements.clear(),
            Utility::Listen(channel) => self.listen(channel)?,
            Utility::Unlisten(channel) => self.listening.unlisten(channel.as_deref())?,
            Utility::Notify { channel, payload } => {
                self.settings.shared().notifications.request(channel, payload)?;
            }
            Utility::CreateRole(create) => self.create_role(&create.name, &create.options)?,
            Utility::AlterRole { role, options } => self.alter_role(role, options)?,
            Utility::DropRole { roles, if_exists } => self.drop_roles(roles, *if_exists)?,
            Utility::Grant(grant) => self.grant(grant)?,
            Utility::GrantRole(_) => {
                return Err(SqlError::unsupported("roles cannot be members of roles"));
            }
            Utility::DropView { views, if_exists, .. } => self.drop_views(views, *if_exists)?,
            Utility::Nothing(_) => {}
        }
        if utility.writes() {
            self.database.refresh_catalog();
        }
        Ok(Execution::Done(utility.tag().to_owned()))
    }

    /// LISTEN. What the database tells on its own channel is what a view shows.
    fn listen(&mut self, channel: &str) -> Result<()> {
        if channel == VIOLATIONS_CHANNEL {
            self.check_privilege(Privilege::Select, PUBLIC, VIOLATIONS_CHANNEL)?;
        }
        self.listening.listen(channel)
    }

    fn set(&mut self, set: &Set) -> Result<()> {
        if let Some([value]) = set.values.as_deref()
            && let Some(done) = self.set_mode(&set.name, value)
        {
            return done;
        }
        if set.local && self.block.is_none() {
            self.warn(
                SqlState::NO_ACTIVE_SQL_TRANSACTION,
                "SET LOCAL can only be used in transaction blocks",
            );
            return Ok(());
        }
        match &set.values {
            None => self.settings.reset(&set.name),
            Some(values) => {
                let value = SessionSettings::joined(&set.name, values);
                if set.local {
                    self.settings.set_local(&set.name, &value)
                } else {
                    self.settings.set_for_session(&set.name, &value)
                }
            }
        }?;
        self.follow_defaults();
        Ok(())
    }

    /// The positions that cover everything that was acknowledged anywhere before, for those who have to wait for it.
    async fn show_barrier(&mut self, statement: &running::Statement) -> Result<Execution> {
        let positions = statement.wait(self.database.read_barrier()).await??;
        Ok(shown(BARRIER, positions.to_string()))
    }

    /// The same for everything that happens up to now.
    async fn show_instant_barrier(&mut self, statement: &running::Statement) -> Result<Execution> {
        let now = Timestamp(u64::MAX);
        let positions = statement.wait(self.database.instant_barrier(now)).await??;
        Ok(shown(INSTANT_BARRIER, positions.to_string()))
    }

    fn show(&mut self, name: &str) -> Result<Execution> {
        if name.eq_ignore_ascii_case("rotabase.position") {
            let position = self.written.to_string();
            self.settings.set_fixed("rotabase.position", position);
        }
        let value = self.settings.get(name)?.to_owned();
        Ok(shown(SessionSettings::column_name(name), value))
    }

    fn show_all(&mut self) -> Result<Execution> {
        let columns =
            Utility::ShowAll.columns().ok_or_else(|| SqlError::internal("SHOW ALL has columns"))?;
        let rows = self.settings.rows();
        let batch = Batch {
            width: 3,
            rows: rows.len(),
            values: rows.into_iter().flatten().map(Datum::text).collect(),
        };
        Ok(Execution::Rows(Rows::complete(columns, RowsTag::Fixed("SHOW".to_owned()), batch)))
    }

    fn discard(&mut self, what: Discard) -> Result<()> {
        if what != Discard::All {
            return Ok(());
        }
        if self.status != Status::Idle {
            let message = "DISCARD ALL cannot run inside a transaction block";
            return Err(SqlError::new(SqlState::ACTIVE_SQL_TRANSACTION, message));
        }
        self.cursors.clear();
        self.statements.clear();
        self.listening.unlisten(None)?;
        self.settings.reset_all()
    }

    /// PREPARE.
    pub(crate) fn prepare_named(&mut self, prepare: &Prepare) -> Result<Execution> {
        self.statements.check_free(&prepare.name)?;
        let prepared =
            self.prepare_parsed(Arc::clone(&prepare.statement), prepare.types.clone())?;
        self.statements.insert(&prepare.name, Arc::new(prepared))?;
        Ok(Execution::Done("PREPARE".to_owned()))
    }

    /// EXECUTE.
    pub(crate) async fn execute_named(&mut self, execute: &Execute) -> Result<Execution> {
        let prepared = Arc::clone(self.statements.get(&execute.name)?);
        let (catalog, _) = self.database.shared().catalog();
        let settings = self.settings.shared();
        let arguments = sql::bind_arguments(&catalog, &settings, execute, &prepared.parameters)?;
        let statement = self.running.begin(None);
        let context = self.context(&statement, Vec::new())?;
        let values = arguments
            .iter()
            .map(|argument| rotabase_queries::exec::evaluate(argument, &[], &context))
            .collect::<Result<Vec<_>>>()?;
        drop(statement);
        let bound = match &prepared.statement.bound {
            Some(bound) => Arc::clone(bound),
            None => self.bind(&prepared.statement.statement, &[])?,
        };
        Box::pin(self.run_bound(&bound, values)).await
    }

    /// CREATE VIEW.
    pub(crate) fn create_view(&mut self, create: &CreateView) -> Result<Execution> {
        self.require_superuser("create views")?;
        let view = StoredView::of(&create.view, &self.user);
        let (catalog, _) = self.database.shared().catalog();
        let name = view.name.clone();
        let taken = catalog.find(Some(&view.schema), &name, &[]).is_some();
        let database = self.database.clone();
        database.shared().objects.change(|objects| {
            let replaces = objects.views.contains_key(&name);
            if taken && !(create.replace && replaces) {
                return Err(SqlError::new(
                    SqlState::DUPLICATE_TABLE,
                    format!("relation \"{name}\" already exists"),
                ));
            }
            let oid = objects.views.get(&name).map_or_else(|| objects.next_oid(), |view| view.oid);
            objects.views.insert(name.clone(), StoredView { oid, ..view });
            Ok(())
        })?;
        database.refresh_catalog();
        Ok(Execution::Done("CREATE VIEW".to_owned()))
    }

    fn drop_views(&mut self, views: &[(Option<String>, String)], if_exists: bool) -> Result<()> {
        self.require_superuser("drop views")?;
        let mut missing = Vec::new();
        self.database.shared().objects.change(|objects| {
            for (_, name) in views {
                if objects.views.remove(name).is_none() {
                    missing.push(name.clone());
                }
            }
            match missing.first() {
                Some(name) if !if_exists => Err(SqlError::new(
                    SqlState::UNDEFINED_TABLE,
                    format!("view \"{name}\" does not exist"),
                )),
                _ => Ok(()),
            }
        })?;
        for name in missing {
            let error = SqlError::new(
                SqlState("00000"),
                format!("view \"{name}\" does not exist, skipping"),
            );
            self.notice(Severity::Notice, error);
        }
        Ok(())
    }

    fn require_superuser(&self, what: &str) -> Result<()> {
        if self.is_superuser() {
            return Ok(());
        }
        Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, format!("permission denied to {what}")))
    }

    fn create_role(&mut self, name: &str, options: &RoleOptions) -> Result<()> {
        self.require_superuser("create role")?;
        let mut role = Role::default();
        self.apply(options, &mut role)?;
        self.database.shared().objects.change(|objects| {
            if objects.roles.contains_key(name) {
                return Err(SqlError::new(
                    SqlState::DUPLICATE_OBJECT,
                    format!("role \"{name}\" already exists"),
                ));
            }
            objects.roles.insert(name.to_owned(), role);
            Ok(())
        })
    }

    fn alter_role(&mut self, role: &RoleName, options: &RoleOptions) -> Result<()> {
        let name = self.role_name(role);
        // Everybody may change the own password, and nothing else.
        let only_password =
            RoleOptions { password: options.password.clone(), ..RoleOptions::default() }
                == *options;
        if !(only_password && name == self.user) {
            self.require_superuser("alter role")?;
        }
        let mut changed = self
            .database
            .shared()
            .objects
            .current()
            .roles
            .get(&name)
            .cloned()
            .ok_or_else(|| roles::no_role(&name))?;
        self.apply(options, &mut changed)?;
        self.database.shared().objects.change(|objects| {
            *objects.role_mut(&name)? = changed;
            Ok(())
        })
    }

    fn drop_roles(&mut self, names: &[RoleName], if_exists: bool) -> Result<()> {
        self.require_superuser("drop role")?;
        let names: Vec<String> = names.iter().map(|name| self.role_name(name)).collect();
        if names.iter().any(|name| *name == self.user || name == roles::BOOTSTRAP_ROLE) {
            let message = "current user and the bootstrap role cannot be dropped";
            return Err(SqlError::new(SqlState::OBJECT_IN_USE, message));
        }
        self.database.shared().objects.change(|objects| {
            for name in &names {
                if objects.roles.remove(name).is_none() && !if_exists {
                    return Err(roles::no_role(name));
                }
            }
            Ok(())
        })
    }

    fn apply(&self, options: &RoleOptions, role: &mut Role) -> Result<()> {
        if !options.in_roles.is_empty() || !options.members.is_empty() || !options.admins.is_empty()
        {
            return Err(SqlError::unsupported("roles cannot be members of roles"));
        }
        if options.valid_until.is_some() {
            return Err(SqlError::unsupported("passwords do not expire"));
        }
        role.login = options.login.unwrap_or(role.login);
        role.superuser = options.superuser.unwrap_or(role.superuser);
        match &options.password {
            None => {}
            Some(None) => role.verifier = None,
            // A verifier is taken as it is, as PostgreSQL does, so that no password has to travel.
            Some(Some(text)) if text.parse::<ScramVerifier>().is_ok() => {
                role.verifier = Some(text.clone());
            }
            Some(Some(password)) => {
                let random = &self.database.shared().config.random;
                let mut salt = [0; SALT_BYTES];
                salt[..8].copy_from_slice(&random.next_u64().to_be_bytes());
                salt[8..].copy_from_slice(&random.next_u64().to_be_bytes());
                role.verifier = Some(ScramVerifier::derive(password, salt).to_string());
            }
        }
        Ok(())
    }

    fn grant(&mut self, grant: &Grant) -> Result<()> {
        self.require_superuser("grant privileges")?;
        let (GrantObjects::Tables(_) | GrantObjects::AllTablesInSchemas(_)) = &grant.objects else {
            // Schemas and the database are open to everybody who can connect.
            return Ok(());
        };
        let tables = self.granted_tables(&grant.objects)?;
        let privileges = granted_privileges(grant);
        let names: Vec<String> = grant.roles.iter().map(|name| self.role_name(name)).collect();
        self.database.shared().objects.change(|objects| {
            for name in &names {
                if name == "public" {
                    objects.roles.entry(name.clone()).or_default();
                }
                let role = objects.role_mut(name)?;
                for table in &tables {
                    let held = role.grants.entry(table.clone()).or_default();
                    if grant.grant {
                        held.extend(&privileges);
                    } else {
                        held.retain(|privilege| !privileges.contains(privilege));
                    }
                }
                role.grants.retain(|_, held| !held.is_empty());
            }
            Ok(())
        })
    }

    fn granted_tables(&self, objects: &GrantObjects) -> Result<Vec<String>> {
        let (catalog, _) = self.database.shared().catalog();
        let settings = self.settings.shared();
        match objects {
            GrantObjects::Tables(tables) => tables
                .iter()
                .map(|(schema, name)| {
                    match catalog.find(schema.as_deref(), name, &settings.search_path) {
                        Some(_) => Ok(name.clone()),
                        None => Err(SqlError::new(
                            SqlState::UNDEFINED_TABLE,
                            format!("relation \"{name}\" does not exist"),
                        )),
                    }
                })
                .collect(),
            GrantObjects::AllTablesInSchemas(schemas) => Ok(schemas
                .iter()
                .flat_map(|schema| catalog.entries(schema))
                .map(|entry| entry.name().to_owned())
                .collect()),
            GrantObjects::Schemas(_) | GrantObjects::Databases(_) => Ok(Vec::new()),
        }
    }

    fn role_name(&self, name: &RoleName) -> String {
        match name {
            RoleName::Name(name) => name.clone(),
            RoleName::CurrentUser | RoleName::SessionUser => self.user.clone(),
            RoleName::Public => "public".to_owned(),
        }
    }
}

fn granted_privileges(grant: &Grant) -> BTreeSet<Privilege> {
    let all = [Privilege::Select, Privilege::Insert, Privilege::Update, Privilege::Delete];
    let Some(named) = &grant.privileges else { return BTreeSet::from(all) };
    named
        .iter()
        .filter_map(|privilege| match privilege {
            sql::Privilege::Select => Some(Privilege::Select),
            sql::Privilege::Insert => Some(Privilege::Insert),
            sql::Privilege::Update => Some(Privilege::Update),
            sql::Privilege::Delete => Some(Privilege::Delete),
            _ => None,
        })
        .collect()
}

/// What SHOW gives.
fn shown(column: impl Into<String>, value: String) -> Execution {
    let columns = Arc::from([rotabase_queries::plan::OutputColumn::computed(column, PgType::Text)]);
    let batch = Batch { width: 1, rows: 1, values: vec![Datum::text(value)] };
    Execution::Rows(Rows::complete(columns, RowsTag::Fixed("SHOW".to_owned()), batch))
}
