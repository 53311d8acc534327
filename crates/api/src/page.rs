//! Pages of a listing: the size, and tokens that name the last row seen.
//!
//! A page starts after a key, not at an offset, so rows that are added or deleted between two calls shift nothing.

use std::{fmt::Display, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use prost::Message;
use sha2::{Digest, Sha256};

use crate::{Violation, Violations};

/// The rows of a page when the caller does not say.
pub const DEFAULT_SIZE: u16 = 50;
/// The most rows of a page; a caller who asks for more gets this many.
pub const MAX_SIZE: u16 = 1_000;
/// The most bytes that the rows of a page take, unless it has one row only. Clients refuse messages of more than 4 MiB
/// unless they are told otherwise.
pub const MAX_BYTES: usize = 3 << 20;
/// What a row takes beyond itself: its tag and its length.
const ROW_OVERHEAD_BYTES: usize = 8;

/// How many rows a page has, 1 to [`MAX_SIZE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSize(u16);

impl PageSize {
    /// 0 means [`DEFAULT_SIZE`]; more than [`MAX_SIZE`] means that; less than 0 is refused.
    pub fn parse(path: impl Display, value: i32) -> Result<Self, Violation> {
        match u16::try_from(value.min(i32::from(MAX_SIZE))) {
            Err(_) => Err(Violation::new(path, format!("must be 0 to {MAX_SIZE}"))),
            Ok(0) => Ok(Self(DEFAULT_SIZE)),
            Ok(size) => Ok(Self(size)),
        }
    }

    /// The rows of the page.
    #[must_use]
    pub fn get(self) -> u16 {
        self.0
    }
}

/// Makes and reads the page tokens of one listing with one set of filters.
///
/// A token is base64 of a check and the last row's key. The check covers the listing, its filters and the key: a
/// token of another listing, one used with other filters and a damaged one are all refused. It keeps no secret.
#[derive(Clone, Debug)]
pub struct Token {
    listing: Sha256,
}

const CHECK_BYTES: usize = 8;

impl Token {
    /// For the listing of this name (its RPC's) with these filters, in a fixed order.
    #[must_use]
    pub fn new(listing: &str, filters: &[&str]) -> Self {
        let mut digest = Sha256::new();
        for part in std::iter::once(&listing).chain(filters) {
            digest.update(part.len().to_be_bytes());
            digest.update(part);
        }
        Self { listing: digest }
    }

    /// The token of a page that starts after the row with this key.
    pub fn after(&self, key: impl Display) -> String {
        let key = key.to_string();
        let mut bytes = self.check(key.as_bytes()).to_vec();
        bytes.extend_from_slice(key.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The key after which the page starts; `None` (an empty token) is the first page.
    pub fn read<K: FromStr>(&self, path: impl Display, token: &str) -> Result<Option<K>, Violation> {
        if token.is_empty() {
            return Ok(None);
        }
        self.key(token).map(Some).ok_or_else(|| {
            Violation::new(
                path,
                "must be the next_page_token of an earlier call with the same filters, or empty",
            )
        })
    }

    fn key<K: FromStr>(&self, token: &str) -> Option<K> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (check, key) = bytes.split_at_checked(CHECK_BYTES)?;
        if check != self.check(key) {
            return None;
        }
        std::str::from_utf8(key).ok()?.parse().ok()
    }

    fn check(&self, key: &[u8]) -> [u8; CHECK_BYTES] {
        let digest = self.listing.clone().chain_update(key).finalize();
        std::array::from_fn(|i| digest[i])
    }
}

/// One page that was asked for. `K` is the key by which the listing is ordered.
#[derive(Clone, Debug)]
pub struct Page<K> {
    /// The page starts after the row with this key; `None`: at the first row.
    pub after: Option<K>,
    size: PageSize,
    token: Token,
}

impl<K: FromStr + Display> Page<K> {
    /// Reads the fields `page_size` and `page_token` of a request.
    pub fn parse(token: Token, page_size: i32, page_token: &str) -> Result<Self, Violations> {
        let mut bad = Violations::default();
        let size = bad.keep(PageSize::parse("page_size", page_size));
        let after = bad.keep(token.read("page_token", page_token));
        let (size, after) = bad.complete((size, after))?;
        Ok(Self { after, size, token })
    }

    /// With no more rows than `most`, at least 1: for listings whose rows are dear. Callers take short pages as they come.
    #[must_use]
    pub fn capped(mut self, most: u16) -> Self {
        self.size = PageSize(self.size.0.min(most).max(1));
        self
    }

    /// How many rows to fetch: one more than the page has, which tells whether another page follows.
    #[must_use]
    pub fn limit(&self) -> i64 {
        i64::from(self.size.get()) + 1
    }

    /// Cuts the fetched rows to the page, and to what fits into a message, and encodes them; with the token of the next
    /// page, empty after the last one.
    pub fn cut<T, M: Message>(
        &self,
        rows: Vec<T>,
        key: impl Fn(&T) -> K,
        encode: impl Fn(T) -> M,
    ) -> (Vec<M>, String) {
        let (mut page, mut bytes, mut last) = (Vec::with_capacity(rows.len()), 0, None);
        for row in rows {
            let row_key = key(&row);
            let row = encode(row);
            bytes += row.encoded_len() + ROW_OVERHEAD_BYTES;
            if let Some(last) = last
                && (page.len() == usize::from(self.size.get()) || bytes > MAX_BYTES)
            {
                return (page, self.token.after(last));
            }
            page.push(row);
            last = Some(row_key);
        }
        (page, String::new())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_token_leads_back_to_its_key(key: i64, filters: [String; 2]) {
            let token = Token::new("ListSeats", &[&filters[0], &filters[1]]);
            prop_assert_eq!(token.read("page_token", &token.after(key)), Ok(Some(key)));
        }

        #[test]
        fn a_token_is_refused_with_other_filters(key: u32, one in ".{0,6}", other in ".{0,6}") {
            prop_assume!(one != other);
            let made = Token::new("ListSeats", &["map", &one]).after(key);
            for used in [
                Token::new("ListSeats", &["map", &other]),
                Token::new("ListSeats", &[&one, "map"]),
                Token::new("ListSeats", &["map"]),
                Token::new("ListProducts", &["map", &one]),
            ] {
                let refused = used.read::<u32>("page_token", &made).unwrap_err();
                prop_assert_eq!(refused.field(), "page_token");
            }
        }

        #[test]
        fn garbage_is_refused(garbage in ".{1,60}") {
            prop_assert!(Token::new("ListSeats", &[]).read::<String>("page_token", &garbage).is_err());
        }

        #[test]
        fn a_damaged_token_is_refused(key: u64, at: prop::sample::Index, with in "[A-Za-z0-9_-]") {
            let token = Token::new("ListSeats", &[]);
            let good = token.after(key);
            let mut damaged = good.clone();
            let at = at.index(good.len());
            damaged.replace_range(at..=at, &with);
            prop_assume!(damaged != good);
            prop_assert!(token.read::<u64>("page_token", &damaged).is_err());
        }

        #[test]
        fn paging_visits_every_row_once_in_order(rows in prop::collection::btree_set(0_u32..500, 0..60), size in 1..9_i32) {
            let (mut seen, mut next) = (Vec::new(), String::new());
            loop {
                let page = Page::<u32>::parse(Token::new("ListX", &[]), size, &next).unwrap();
                let start = page.after.map_or(0, |key| key + 1);
                let limit = usize::try_from(page.limit()).unwrap();
                let fetched = rows.range(start..).take(limit).copied().collect();
                let (cut, token) = page.cut(fetched, |&row| row, |row| row);
                prop_assert!(cut.len() <= usize::try_from(size).unwrap());
                seen.extend(cut);
                next = token;
                if next.is_empty() { break }
            }
            prop_assert_eq!(seen, rows.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_short_page_leads_to_the_next_one() {
        let page = Page::<u32>::parse(Token::new("ListX", &[]), 1_000, "").unwrap().capped(2);
        assert_eq!(page.limit(), 3);
        let (rows, next) = page.cut(vec![1, 2, 3], |&row| row, |row| row);
        assert_eq!(rows, [1, 2]);
        assert_eq!(Token::new("ListX", &[]).read("page_token", &next), Ok(Some(2)));
    }

    /// Each row is an encoded text of so many bytes.
    fn lengths_of_pages(row_bytes: usize) -> Vec<usize> {
        let (mut lengths, mut next) = (Vec::new(), String::new());
        loop {
            let page = Page::<u32>::parse(Token::new("ListX", &[]), 1_000, &next).unwrap();
            let rows = (page.after.map_or(0, |key| key + 1)..10).collect();
            let (rows, token) = page.cut(rows, |&row| row, |_| "x".repeat(row_bytes));
            let bytes: usize = rows.iter().map(Message::encoded_len).sum();
            assert!(bytes <= MAX_BYTES || rows.len() == 1, "{bytes} bytes in {} rows", rows.len());
            lengths.push(rows.len());
            next = token;
            if next.is_empty() {
                return lengths;
            }
        }
    }

    #[test]
    fn a_page_is_cut_to_what_clients_take_and_no_row_is_missed() {
        assert_eq!(lengths_of_pages(1_000_000), [3, 3, 3, 1]);
        assert_eq!(lengths_of_pages(MAX_BYTES + 1), [1; 10]);
        assert_eq!(lengths_of_pages(10), [10]);
    }

    #[test]
    fn sizes_are_capped_and_never_negative() {
        assert_eq!(PageSize::parse("page_size", 0).unwrap().get(), 50);
        assert_eq!(PageSize::parse("page_size", 7).unwrap().get(), 7);
        assert_eq!(PageSize::parse("page_size", i32::MAX).unwrap().get(), 1_000);
        assert_eq!(PageSize::parse("page_size", -1).unwrap_err().field(), "page_size");
    }
}
