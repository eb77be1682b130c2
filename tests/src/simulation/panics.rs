//! Assertions that fail within a simulation: tokio catches them, and they must not go unnoticed.

use std::cell::RefCell;
use std::sync::Once;

thread_local! {
    static HEARD: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

static HOOK: Once = Once::new();

/// Notes all panics of this thread from now on.
pub(super) fn listen() {
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let noted = HEARD.with(|heard| {
                let mut heard = heard.borrow_mut();
                let heard = heard.as_mut()?;
                heard.push(format!("it panicked: {info}"));
                Some(())
            });
            if noted.is_none() {
                before(info);
            }
        }));
    });
    HEARD.with(|heard| *heard.borrow_mut() = Some(Vec::new()));
}

/// What was noted.
pub(super) fn heard() -> Vec<String> {
    HEARD.with(|heard| heard.borrow_mut().take()).unwrap_or_default()
}
