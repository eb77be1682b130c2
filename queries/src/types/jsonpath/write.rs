//! The text of a jsonpath, in PostgreSQL's form (`printJsonPathItem`).

use super::{Binary, Node, Path, Step};
use crate::types::json::write_string;

/// Writes a path.
pub(super) fn write(path: &Path) -> String {
    let mut out = if path.strict { "strict ".to_owned() } else { String::new() };
    node(&path.root, true, &mut out);
    out
}

fn priority(node: &Node) -> u8 {
    match node {
        Node::Binary(op, ..) => op.priority(),
        Node::StartsWith(..) => Binary::Equal.priority(),
        Node::Sign { .. } => Binary::UNARY,
        _ => Binary::NONE,
    }
}

fn quoted(text: &str, out: &mut String) {
    let mut bytes = Vec::new();
    write_string(text, &mut bytes);
    out.push_str(&String::from_utf8_lossy(&bytes));
}

fn bracketed(brackets: bool, out: &mut String, inner: impl FnOnce(&mut String)) {
    if brackets {
        out.push('(');
    }
    inner(out);
    if brackets {
        out.push(')');
    }
}

fn node(it: &Node, brackets: bool, out: &mut String) {
    let own = priority(it);
    let operand = |inner: &Node, out: &mut String| node(inner, priority(inner) <= own, out);
    match it {
        Node::Root => out.push('$'),
        Node::Current => out.push('@'),
        Node::Last => out.push_str("last"),
        Node::Null => out.push_str("null"),
        Node::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
        Node::Number(value) => out.push_str(&value.to_string()),
        Node::Text(text) => quoted(text, out),
        Node::Variable(name) => {
            out.push('$');
            quoted(name, out);
        }
        Node::Steps(first, steps) => {
            let simple = !matches!(**first, Node::Number(_));
            bracketed(!simple, out, |out| node(first, true, out));
            for it in steps {
                step(it, out);
            }
        }
        Node::Binary(op, left, right) => bracketed(brackets, out, |out| {
            operand(left, out);
            out.push(' ');
            out.push_str(op.text());
            out.push(' ');
            operand(right, out);
        }),
        Node::StartsWith(left, right) => bracketed(brackets, out, |out| {
            operand(left, out);
            out.push_str(" starts with ");
            operand(right, out);
        }),
        Node::Sign { negative, inner } => bracketed(brackets, out, |out| {
            out.push(if *negative { '-' } else { '+' });
            operand(inner, out);
        }),
        Node::Not(inner) => {
            out.push_str("!(");
            node(inner, false, out);
            out.push(')');
        }
        Node::IsUnknown(inner) => {
            out.push('(');
            node(inner, false, out);
            out.push_str(") is unknown");
        }
        Node::Exists(inner) => {
            out.push_str("exists (");
            node(inner, false, out);
            out.push(')');
        }
        Node::LikeRegex { value, pattern, flags, .. } => bracketed(brackets, out, |out| {
            operand(value, out);
            out.push_str(" like_regex ");
            quoted(pattern, out);
            let set: String = "ismxq".chars().filter(|flag| flags.contains(*flag)).collect();
            if !set.is_empty() {
                out.push_str(" flag ");
                quoted(&set, out);
            }
        }),
    }
}

fn step(it: &Step, out: &mut String) {
    match it {
        Step::Key(key) => {
            out.push('.');
            quoted(key, out);
        }
        Step::AnyKey => out.push_str(".*"),
        Step::AnyElement => out.push_str("[*]"),
        Step::Subscript(ranges) => {
            out.push('[');
            for (place, (from, to)) in ranges.iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                node(from, false, out);
                if let Some(to) = to {
                    out.push_str(" to ");
                    node(to, false, out);
                }
            }
            out.push(']');
        }
        Step::AnyLevel { first, last } => {
            let level = |level: &Option<u32>| {
                level.map_or_else(|| "last".to_owned(), |level| level.to_string())
            };
            out.push_str(".**");
            if (*first, *last) == (Some(0), None) {
                return;
            }
            let (first, last) = (level(first), level(last));
            let range = if first == last { first } else { format!("{first} to {last}") };
            out.extend(["{", range.as_str(), "}"]);
        }
        Step::Filter(condition) => {
            out.push_str("?(");
            node(condition, false, out);
            out.push(')');
        }
        Step::Method(method) => {
            out.push('.');
            out.push_str(method.name());
            out.push_str("()");
        }
    }
}
