//! What the clients do: a [`Workload`], or a [`Mix`] of weighted statements.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use rand::Rng;
use rand::rngs::StdRng;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};

/// The name of a kind of operation, such as `"read"`; reports are grouped by it.
pub type Kind = &'static str;

/// What the clients do, over and over.
pub trait Workload: Send + Sync + 'static {
    /// What a connection keeps between operations, such as prepared statements; new after a reconnect.
    type Session: Default + Send;

    /// Chooses what is done next.
    fn pick(&self, rng: &mut StdRng) -> Kind;

    /// Does it once.
    fn once(
        &self,
        kind: Kind,
        client: &mut Client,
        session: &mut Self::Session,
        rng: &mut StdRng,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// Why an operation failed.
#[derive(Debug)]
pub enum Failure {
    /// The server or the connection said no.
    Database(tokio_postgres::Error),
    /// The answer came, and it was not the right one.
    Wrong(String),
}

impl Failure {
    /// The SQLSTATE, when the server sent one.
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Failure::Database(error) => error.code().map(SqlState::code),
            Failure::Wrong(_) => None,
        }
    }

    /// The SQLSTATE; `connection` when the connection was lost, `wrong` for a wrong answer.
    pub fn code(&self) -> &str {
        match self {
            Failure::Database(_) => self.sqlstate().unwrap_or("connection"),
            Failure::Wrong(_) => "wrong",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Database(error) => match error.as_db_error() {
                Some(error) => write!(out, "{}: {}", error.code().code(), error.message()),
                None => write!(out, "{error}"),
            },
            Failure::Wrong(what) => out.write_str(what),
        }
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Failure {
        Failure::Database(error)
    }
}

/// What an action of a [`Mix`] returns.
pub type Work<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>>;

/// Parameters of a statement.
pub type Params = Vec<Box<dyn ToSql + Sync + Send>>;

/// Builds [`Params`]: `params![id, "name"]`.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => {{
        let params: $crate::traffic::Params = vec![$(Box::new($value)),*];
        params
    }};
}
pub use crate::params;

type Action = Box<dyn for<'a> Fn(&'a mut Client, &'a mut StdRng) -> Work<'a> + Send + Sync>;
type MakeParams = Box<dyn Fn(&mut StdRng) -> Params + Send + Sync>;

enum Does {
    Statement { sql: String, params: MakeParams },
    Action(Action),
}

/// A weighted choice of statements and actions.
///
/// Statements are prepared once a connection and then reused, as drivers do; one that fails is prepared anew at
/// its next turn. That is how a change of a result type reaches real clients: once a connection.
#[derive(Default)]
pub struct Mix {
    entries: Vec<(u32, Kind, Does)>,
}

impl Mix {
    /// An empty mix.
    pub fn new() -> Mix {
        Mix::default()
    }

    /// Adds a prepared statement.
    pub fn statement<F>(mut self, weight: u32, kind: Kind, sql: impl Into<String>, params: F) -> Mix
    where
        F: Fn(&mut StdRng) -> Params + Send + Sync + 'static,
    {
        let does = Does::Statement { sql: sql.into(), params: Box::new(params) };
        self.entries.push((weight, kind, does));
        self
    }

    /// Adds anything else, such as a transaction; it ends with `Box::pin(async move { … })`.
    pub fn action<F>(mut self, weight: u32, kind: Kind, action: F) -> Mix
    where
        F: for<'a> Fn(&'a mut Client, &'a mut StdRng) -> Work<'a> + Send + Sync + 'static,
    {
        self.entries.push((weight, kind, Does::Action(Box::new(action))));
        self
    }
}

impl Workload for Mix {
    /// Prepared statements by their place in the mix.
    type Session = Vec<Option<Statement>>;

    fn pick(&self, rng: &mut StdRng) -> Kind {
        let total: u32 = self.entries.iter().map(|(weight, ..)| weight).sum();
        let mut ticket = rng.random_range(0..total.max(1));
        for (weight, kind, _) in &self.entries {
            if ticket < *weight {
                return kind;
            }
            ticket -= weight;
        }
        "nothing"
    }

    async fn once(
        &self,
        kind: Kind,
        client: &mut Client,
        session: &mut Self::Session,
        rng: &mut StdRng,
    ) -> Result<(), Failure> {
        let Some(place) = self.entries.iter().position(|(_, known, _)| *known == kind) else {
            return Err(Failure::Wrong(format!("no operation is called {kind}")));
        };
        let (sql, params) = match &self.entries[place].2 {
            Does::Action(action) => return action(client, rng).await,
            Does::Statement { sql, params } => (sql, params(rng)),
        };
        session.resize(self.entries.len(), None);
        let statement = match session[place].take() {
            Some(statement) => statement,
            None => client.prepare(sql).await?,
        };
        let params: Vec<&(dyn ToSql + Sync)> =
            params.iter().map(|value| value.as_ref() as &(dyn ToSql + Sync)).collect();
        client.query(&statement, &params).await?;
        session[place] = Some(statement);
        Ok(())
    }
}
