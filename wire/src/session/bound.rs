//! Bound statements: what is known of a statement before it runs, and kept with it while it is prepared.
//!
//! A statement is bound against the catalog and the settings as they are ([`Session::bind`]); its plan is optimised,
//! and what its runs would otherwise find out each time is found out once ([`Planned`]). A bound statement whose names
//! have changed since is bound anew.

use std::sync::Arc;

use rotabase_queries::as_of::{Instant, instants};
use rotabase_queries::error::{Result, SqlError};
use rotabase_queries::exec::{DirectPlan, direct};
use rotabase_queries::optimize::{optimize, relations};
use rotabase_queries::plan::{Plan, PlanNode};
use rotabase_queries::relation::RelationSchema;
use rotabase_queries::sql::{self, Bound, Statement};
use rotabase_queries::types::PgType;

use super::client::Session;

/// A statement as a session keeps it.
#[derive(Debug)]
pub struct SessionStatement {
    /// What was parsed.
    pub(crate) statement: Arc<Statement>,
    /// What it was bound to, if it was prepared.
    pub(crate) bound: Option<Arc<BoundStatement>>,
    /// The types that the client declared.
    pub(crate) declared: Vec<PgType>,
}

/// A bound statement, ready to run.
#[derive(Debug)]
pub(crate) struct BoundStatement {
    pub(crate) bound: Bound,
    /// The rows of a query, or those that a command works on.
    pub(crate) rows: Option<Planned>,
    /// How many microseconds the optimiser took.
    pub(crate) planning_microseconds: i64,
    /// The catalog it was bound with.
    generation: u64,
    /// The settings that binding depends on.
    search_path: Vec<String>,
    time_zone: String,
}

/// An optimised plan, and what can be said of it before it runs.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) plan: Arc<Plan>,
    /// The plan's short cut, if it has one.
    pub(crate) direct: Option<DirectPlan>,
    /// Whether it reads nothing: rows that stand in the statement, without a subquery over a relation.
    pub(crate) literal: bool,
    /// What it reads.
    pub(crate) relations: Vec<Arc<RelationSchema>>,
    /// The past instants that it reads as of.
    pub(crate) instants: Vec<Arc<Instant>>,
}

impl Planned {
    fn new(plan: &Plan) -> Self {
        let plan = Arc::new(optimize(plan.clone()));
        let relations = relations(&plan);
        Self {
            direct: direct(&plan),
            literal: has_literal_shape(&plan) && relations.is_empty(),
            instants: instants(&plan),
            relations,
            plan,
        }
    }
}

fn has_literal_shape(plan: &Plan) -> bool {
    match &plan.node {
        PlanNode::Values(_) => true,
        PlanNode::Project { input, .. } => has_literal_shape(input),
        _ => false,
    }
}

impl BoundStatement {
    /// The rows that it gives or works on; a statement of a kind that has none is a bug.
    pub(crate) fn rows(&self) -> Result<&Planned> {
        self.rows.as_ref().ok_or_else(|| SqlError::internal("the statement works on no rows"))
    }

    /// Another statement, bound with the same names and settings.
    pub(crate) fn with_bound(&self, bound: Bound) -> Self {
        Self {
            rows: plan_of(&bound).map(Planned::new),
            bound,
            planning_microseconds: self.planning_microseconds,
            generation: self.generation,
            search_path: self.search_path.clone(),
            time_zone: self.time_zone.clone(),
        }
    }
}

impl Session {
    /// Binds a statement against the names as they are now.
    pub(crate) fn bind(
        &self,
        statement: &Statement,
        declared: &[PgType],
    ) -> Result<Arc<BoundStatement>> {
        let (catalog, generation) = self.database.shared().catalog();
        let settings = self.settings.shared();
        let bound = sql::bind(&catalog, &settings, statement, declared)?;
        let started = self.now();
        let rows = plan_of(&bound).map(Planned::new);
        Ok(Arc::new(BoundStatement {
            bound,
            rows,
            planning_microseconds: self.now().saturating_sub(started),
            generation,
            search_path: settings.search_path.clone(),
            time_zone: settings.time_zone_name.clone(),
        }))
    }

    /// The bound form of a prepared statement; bound anew if what it was bound with has changed.
    pub(crate) fn bound(&self, prepared: &SessionStatement) -> Result<Arc<BoundStatement>> {
        if let Some(bound) = &prepared.bound {
            let settings = self.settings.shared();
            let current = bound.generation == self.database.shared().generation()
                && bound.search_path == settings.search_path
                && bound.time_zone == settings.time_zone_name;
            if current {
                return Ok(Arc::clone(bound));
            }
        }
        self.bind(&prepared.statement, &prepared.declared)
    }
}

/// The plan that a statement runs, if it runs one.
fn plan_of(bound: &Bound) -> Option<&Plan> {
    match bound {
        Bound::Query(query) => Some(&query.plan),
        Bound::Insert(insert) => Some(&insert.source),
        Bound::Update(update) => Some(&update.source),
        Bound::Delete(delete) => Some(&delete.source),
        Bound::CopyTo(copy) => match &copy.source {
            sql::CopySource::Plan(plan) => Some(plan),
            sql::CopySource::Ssim | sql::CopySource::Subscribe(_) => None,
        },
        Bound::Explain(explain) => plan_of(&explain.statement),
        Bound::DeclareCursor(declare) => Some(&declare.query.plan),
        Bound::Empty
        | Bound::With(_)
        | Bound::CopyFrom(_)
        | Bound::Subscribe(_)
        | Bound::Prepare(_)
        | Bound::Execute(_)
        | Bound::CreateView(_)
        | Bound::Utility(_) => None,
    }
}
