//! A range of keys, and how listing it goes on. The ranges of one listing never overlap and leave nothing out, so every
//! key is shown once, however they are divided.

use super::pages::{Ask, Page};

/// Keys that begin with `prefix`, after `after`, not before `from`, up to and with `until`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) prefix: String,
    /// Where the next page starts; empty: at the beginning.
    pub(super) after: String,
    /// What comes before it is another range's, although pages may show it.
    pub(super) from: String,
    /// `None`: to the end.
    pub(super) until: Option<String>,
    token: Option<String>,
}

impl Range {
    /// All of a folder.
    pub(super) fn all(prefix: String) -> Self {
        Self { prefix, after: String::new(), from: String::new(), until: None, token: None }
    }

    pub(super) fn ask(&self, by_folder: bool) -> Ask {
        Ask { prefix: self.prefix.clone(), after: self.after.clone(), token: self.token.clone(), by_folder }
    }

    /// Everything up to here was shown, or is another range's.
    pub(super) fn position(&self) -> &str {
        self.after.as_str().max(&self.from)
    }

    /// Takes in a page: leaves in it what is this range's, and moves on. Tells whether anything may be left to list.
    pub(super) fn advance(&mut self, page: &mut Page) -> bool {
        let is_folder = page.last.is_some() && page.folders.last() == page.last.as_ref();
        let is_ours = |name: &str| name >= self.from.as_str() && self.until.as_deref().is_none_or(|end| name <= end);
        page.objects.retain(|object| is_ours(&object.key));
        page.folders.retain(|folder| is_ours(folder));
        self.token = None;
        let Some(last) = page.last.take() else {
            // S3 may show less than it could, and even nothing, and have more.
            self.token = page.token.take();
            return page.is_truncated && self.token.is_some();
        };
        if !page.is_truncated || self.until.as_ref().is_some_and(|end| last >= *end) {
            return false;
        }
        match last.strip_suffix('/').filter(|_| is_folder) {
            // Behind the folder: `0` is the character after `/`. There is no key to start after, so what may come before
            // is left out by name.
            Some(stem) => (self.after, self.from) = (format!("{last}\u{10ffff}"), format!("{stem}0")),
            None => self.after = last,
        }
        true
    }

    /// Gives away what comes after this point.
    pub(super) fn split_off(&mut self, at: String) -> Self {
        let rest = Self {
            after: at.clone(),
            from: String::new(),
            until: self.until.take(),
            token: None,
            prefix: self.prefix.clone(),
        };
        self.until = Some(at);
        rest
    }
}
