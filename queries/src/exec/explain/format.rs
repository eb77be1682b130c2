//! `EXPLAIN` as text and as JSON, laid out as PostgreSQL does.

use std::fmt::Write;

use super::analysis::milliseconds;
use super::tree::{Actual, Described};
use super::{ExplainOptions, Summary};

/// The lines of the text format.
pub(super) fn text(
    root: &Described,
    options: &ExplainOptions,
    summary: Option<Summary>,
) -> Vec<String> {
    let mut lines = Vec::new();
    node_text(root, options, 0, true, &mut lines);
    if let Some(summary) = summary {
        lines.push(format!("Planning Time: {:.3} ms", milliseconds(summary.planning)));
        if let Some(execution) = summary.execution {
            lines.push(format!("Execution Time: {:.3} ms", milliseconds(execution)));
        }
    }
    lines
}

fn node_text(
    node: &Described,
    options: &ExplainOptions,
    indent: usize,
    root: bool,
    lines: &mut Vec<String>,
) {
    let mut indent = indent;
    if let Some(label) = &node.label {
        lines.push(format!("{:indent$}{label}", ""));
        indent += 2;
    }
    let arrow = if root { "" } else { "->  " };
    let mut line = format!("{:indent$}{arrow}{}", "", node.shape.title);
    if options.costs {
        let it = &node.estimate;
        let _ = write!(
            line,
            "  (cost={:.2}..{:.2} rows={:.0} width={})",
            it.startup, it.total, it.rows, it.width
        );
    }
    line.extend(node.actual.as_ref().map(Actual::text));
    lines.push(line);
    let inner = indent + arrow.len() + 2;
    for (name, value) in node.properties() {
        lines.push(format!("{:inner$}{name}: {value}", ""));
    }
    for child in &node.children {
        node_text(child, options, inner, false, lines);
    }
}

impl Actual {
    fn text(&self) -> String {
        match self.milliseconds {
            _ if self.loops == 0 => " (never executed)".to_owned(),
            Some((first, all)) => format!(
                " (actual time={first:.3}..{all:.3} rows={} loops={})",
                self.rows, self.loops
            ),
            None => format!(" (actual rows={} loops={})", self.rows, self.loops),
        }
    }
}

/// The JSON format: an array of one object.
pub(super) fn json(root: &Described, options: &ExplainOptions, summary: Option<Summary>) -> String {
    let mut object = vec![("Plan", node_json(root, None, options))];
    if let Some(summary) = summary {
        object.push(("Planning Time", number(milliseconds(summary.planning), 3)));
    }
    if options.analyze {
        object.push(("Triggers", Json::Array(Vec::new())));
    }
    if let Some(execution) = summary.and_then(|summary| summary.execution) {
        object.push(("Execution Time", number(milliseconds(execution), 3)));
    }
    let mut text = String::new();
    Json::Array(vec![Json::Object(object)]).write(0, &mut text);
    text
}

/// A value of JSON whose numbers are written already: PostgreSQL writes costs with two decimal places.
enum Json {
    Plain(String),
    String(String),
    Array(Vec<Json>),
    Object(Vec<(&'static str, Json)>),
}

fn number(value: f64, places: usize) -> Json {
    Json::Plain(format!("{value:.places$}"))
}

fn node_json(
    node: &Described,
    relationship: Option<&'static str>,
    options: &ExplainOptions,
) -> Json {
    let mut object = vec![("Node Type", Json::String(node.shape.node_type.clone()))];
    let attributes = node.shape.attributes.iter();
    object.extend(attributes.map(|(name, value)| (*name, Json::String(value.clone()))));
    if let Some(relationship) = relationship {
        object.insert(1, ("Parent Relationship", Json::String(relationship.to_owned())));
    }
    if let Some(label) = &node.label {
        object.push(("Subplan Name", Json::String(label.clone())));
    }
    object.push(("Parallel Aware", Json::Plain("false".to_owned())));
    object.push(("Async Capable", Json::Plain("false".to_owned())));
    if options.costs {
        let it = &node.estimate;
        object.push(("Startup Cost", number(it.startup, 2)));
        object.push(("Total Cost", number(it.total, 2)));
        object.push(("Plan Rows", number(it.rows, 0)));
        object.push(("Plan Width", Json::Plain(it.width.to_string())));
    }
    if let Some(actual) = &node.actual {
        if let Some((first, all)) = actual.milliseconds {
            object.push(("Actual Startup Time", number(first, 3)));
            object.push(("Actual Total Time", number(all, 3)));
        }
        object.push(("Actual Rows", Json::Plain(actual.rows.to_string())));
        object.push(("Actual Loops", Json::Plain(actual.loops.to_string())));
    }
    for (name, value) in node.properties() {
        let value = match name {
            "Rows Removed by Filter" => Json::Plain(value),
            "Output" | "Sort Key" | "Group Key" | "Hash Key" => {
                Json::Array(vec![Json::String(value)])
            }
            _ => Json::String(value),
        };
        object.push((name, value));
    }
    if !node.children.is_empty() {
        let last_input = node.children.iter().rposition(|child| child.label.is_none());
        let children = node.children.iter().enumerate();
        let children = children.map(|(place, child)| {
            let relationship = match &child.label {
                Some(label) if label.starts_with("SubPlan") => "SubPlan",
                Some(_) => "InitPlan",
                None if Some(place) == last_input && node.shape.joins => "Inner",
                None if node.shape.appends => "Member",
                None => "Outer",
            };
            node_json(child, Some(relationship), options)
        });
        object.push(("Plans", Json::Array(children.collect())));
    }
    Json::Object(object)
}

impl Json {
    fn write(&self, indent: usize, text: &mut String) {
        let inner = indent + 2;
        match self {
            Self::Plain(value) => text.push_str(value),
            Self::String(value) => {
                text.push_str(&serde_json::Value::from(value.as_str()).to_string());
            }
            Self::Array(items) if items.is_empty() => {
                let _ = write!(text, "[\n{:indent$}]", "");
            }
            Self::Array(items) => {
                // A list of names stands on one line.
                let short = items.iter().all(|item| matches!(item, Self::String(_)));
                text.push('[');
                for (place, item) in items.iter().enumerate() {
                    text.push_str(if place > 0 { "," } else { "" });
                    if !short {
                        let _ = write!(text, "\n{:inner$}", "");
                    }
                    item.write(inner, text);
                }
                if short {
                    text.push(']');
                } else {
                    let _ = write!(text, "\n{:indent$}]", "");
                }
            }
            Self::Object(members) => {
                text.push('{');
                for (place, (name, value)) in members.iter().enumerate() {
                    let comma = if place > 0 { "," } else { "" };
                    let _ = write!(text, "{comma}\n{:inner$}\"{name}\": ", "");
                    value.write(inner, text);
                }
                let _ = write!(text, "\n{:indent$}}}", "");
            }
        }
    }
}
