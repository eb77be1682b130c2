//! A parsed statement: `sqlparser`'s tree where that knows the grammar, ours elsewhere, with its place in the text.

use std::ops::Range;
use std::sync::Arc;

use sqlparser::ast;

use super::copy_options::CopyOptions;
use super::position::Positions;
use super::utility::{ExplainOptions, Utility};

/// A parsed statement. Cheap to share; it is never changed.
#[derive(Clone, Debug)]
pub struct Statement {
    pub(super) node: Node,
    pub(super) source: Source,
}

/// The text that a statement was parsed from.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// Everything that was sent.
    pub(super) text: Arc<str>,
    /// The statement's own bytes in it.
    pub(super) range: Range<usize>,
    /// Where its tokens stand.
    pub(super) positions: Arc<Positions>,
}

/// The kinds of statements, before binding.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Empty,
    Query(Box<ast::Query>),
    Insert(Box<ast::Insert>),
    Update(Box<ast::Update>),
    Delete(Box<ast::Delete>),
    Copy(Box<CopyNode>),
    Subscribe(Box<SubscribeNode>),
    Explain(ExplainOptions, Box<Node>),
    DeclareCursor(Box<DeclareNode>),
    Prepare { name: String, types: Vec<ast::DataType>, statement: Arc<Statement> },
    Execute { name: String, arguments: Arc<Arguments> },
    CreateView(Box<ViewNode>),
    Utility(Utility),
}

/// The arguments of an `EXECUTE`.
#[derive(Clone, Debug)]
pub struct Arguments {
    pub(super) expressions: Vec<ast::Expr>,
    pub(super) source: Source,
}

#[derive(Clone, Debug)]
pub(super) struct CopyNode {
    pub(super) subject: CopySubject,
    pub(super) from: bool,
    pub(super) options: CopyOptions,
    /// Columns of `FORCE_QUOTE`, `FORCE_NOT_NULL` and `FORCE_NULL`, by name; the options have no columns yet.
    pub(super) force: [ForceColumns; 3],
    /// `WHERE`.
    pub(super) predicate: Option<ast::Expr>,
}

#[derive(Clone, Debug, Default)]
pub(super) enum ForceColumns {
    #[default]
    None,
    All,
    Named(Vec<ast::Ident>),
}

#[derive(Clone, Debug)]
pub(super) enum CopySubject {
    Table { name: ast::ObjectName, columns: Vec<ast::Ident> },
    Node(Box<Node>),
}

#[derive(Clone, Debug)]
pub(super) struct SubscribeNode {
    pub(super) relation: ast::ObjectName,
    pub(super) after: Option<String>,
    pub(super) predicate: Option<ast::Expr>,
}

#[derive(Clone, Debug)]
pub(super) struct DeclareNode {
    pub(super) name: String,
    pub(super) binary: bool,
    pub(super) scroll: Option<bool>,
    pub(super) hold: bool,
    pub(super) query: Box<ast::Query>,
}

#[derive(Clone, Debug)]
pub(super) struct ViewNode {
    pub(super) name: ast::ObjectName,
    pub(super) columns: Vec<ast::Ident>,
    pub(super) replace: bool,
    pub(super) query: Box<ast::Query>,
    /// The query as it was written.
    pub(super) text: String,
}

impl Statement {
    /// The statement as it was written, without the semicolon.
    pub fn text(&self) -> &str {
        &self.source.text[self.source.range.clone()]
    }

    /// The statement's bytes in the text that it was parsed from.
    pub fn range(&self) -> Range<usize> {
        self.source.range.clone()
    }

    /// Whether there is nothing but spaces and comments.
    pub fn is_empty(&self) -> bool {
        matches!(self.node, Node::Empty)
    }

    /// Whether it ends a transaction block: it is carried out even when the block has failed.
    pub fn ends_failed_block(&self) -> bool {
        matches!(
            self.node,
            Node::Utility(
                Utility::Commit { .. } | Utility::Rollback { .. } | Utility::RollbackTo(_)
            )
        )
    }

    /// The statement, if it needs no binding.
    pub fn utility(&self) -> Option<&Utility> {
        match &self.node {
            Node::Utility(utility) => Some(utility),
            _ => None,
        }
    }
}
