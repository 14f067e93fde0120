//! `ethereum`, as `proofs/schemes/ethereum.py` defines it.

use crate::Refused;
use crate::fold::{Payload, Reference, Scheme};
use crate::path::{ACCOUNT_DIGITS, ACCOUNT_SIZE, AccountPath, STORAGE_DEPTH};
use crate::rlp::{put_list_header, put_string, string_size, take_string};
use crate::schemes::mpt::{Nodes, keccak256};

/// keccak256(0x80)
const EMPTY_ROOT: [u8; 32] = [
    0x56, 0xe8, 0x1f, 0x17, 0x1b, 0xcc, 0x55, 0xa6, 0xff, 0x83, 0x45, 0xe6, 0x92, 0xc0, 0xf8, 0x6e, 0x5b, 0x48, 0xe0,
    0x1b, 0x99, 0x6c, 0xad, 0xc0, 0x01, 0x62, 0x2f, 0xb5, 0xe3, 0x63, 0xb4, 0x21,
];
/// keccak256("")
const EMPTY_CODE: [u8; 32] = [
    0xc5, 0xd2, 0x46, 0x01, 0x86, 0xf7, 0x23, 0x3c, 0x92, 0x7e, 0x7d, 0xb2, 0xdc, 0xc7, 0x03, 0xc0, 0xe5, 0x00, 0xb6,
    0x53, 0xca, 0x82, 0x27, 0x3b, 0x7b, 0xfa, 0xd8, 0x04, 0x5d, 0x85, 0xa4, 0x70,
];

/// The four fields of a slim account, still borrowed.
struct Account<'a> {
    nonce: &'a [u8],
    balance: &'a [u8],
    storage_root: &'a [u8],
    code_hash: &'a [u8],
}

impl<'a> Account<'a> {
    /// Decodes the one canonical form: shortest integers, no empty constant written out.
    fn from_slim(slim: &'a [u8]) -> Result<Self, Refused> {
        const SLOPPY: Refused = Refused("a slim account is not in its one canonical form");
        // A slim account has at most 109 bytes of payload, so its list header has one or two bytes.
        let mut body = match slim {
            [head @ 0xC0..=0xF7, body @ ..] if body.len() == (head - 0xC0) as usize => body,
            [0xF8, size, body @ ..] if body.len() == *size as usize && *size > 55 => body,
            _ => return Err(SLOPPY),
        };
        let account = Account {
            nonce: take_string(&mut body)?,
            balance: take_string(&mut body)?,
            storage_root: take_string(&mut body)?,
            code_hash: take_string(&mut body)?,
        };
        let legal = body.is_empty()
            && account.nonce.len() <= 8
            && account.balance.len() <= 32
            && account.nonce.first() != Some(&0)
            && account.balance.first() != Some(&0)
            && matches!(account.storage_root.len(), 0 | 32)
            && matches!(account.code_hash.len(), 0 | 32)
            && account.storage_root != EMPTY_ROOT
            && account.code_hash != EMPTY_CODE;
        if legal { Ok(account) } else { Err(SLOPPY) }
    }

    fn put_full(&self, out: &mut Vec<u8>) {
        let root = if self.storage_root.is_empty() { &EMPTY_ROOT } else { self.storage_root };
        let code = if self.code_hash.is_empty() { &EMPTY_CODE } else { self.code_hash };
        let fields = [self.nonce, self.balance, root, code];
        out.clear();
        put_list_header(out, fields.iter().map(|field| string_size(field)).sum());
        for field in fields {
            put_string(out, field);
        }
    }
}

fn check_slot(value: &[u8]) -> Result<(), Refused> {
    let mut rest = value;
    let number = take_string(&mut rest)?;
    if !rest.is_empty() || number.is_empty() || number.len() > 32 || number[0] == 0 {
        return Err(Refused("a slot holds a non-zero integer of at most 32 bytes, shortest form"));
    }
    Ok(())
}

#[derive(Default)]
pub struct Ethereum {
    nodes: Nodes,
    full: Vec<u8>,
}

impl Ethereum {
    fn account(&mut self, owner: &[u8], account: &Account<'_>, depth: usize) -> Reference {
        account.put_full(&mut self.full);
        self.nodes.leaf(owner, &self.full, depth)
    }
}

impl Scheme<16> for Ethereum {
    type Path = AccountPath;

    fn check_leaf(&self, key: &[u8], value: &[u8]) -> Result<(), Refused> {
        match key.len() {
            ACCOUNT_SIZE => Account::from_slim(value).map(|_| ()),
            64 => check_slot(value),
            _ => Err(Refused("keys have 32 bytes (account) or 64 bytes (account and slot)")),
        }
    }

    fn leaf(&mut self, key: &[u8], value: &[u8], depth: usize) -> Result<Reference, Refused> {
        if key.len() == ACCOUNT_SIZE {
            let account = Account::from_slim(value)?;
            if !account.storage_root.is_empty() {
                return Err(Refused("an account names a storage root and has no slots"));
            }
            return Ok(self.account(key, &account, depth));
        }
        if depth < STORAGE_DEPTH {
            return Err(Refused("a slot without its account"));
        }
        Ok(self.nodes.leaf(&key[ACCOUNT_SIZE..], value, depth - STORAGE_DEPTH))
    }

    fn value<'a>(&mut self, _key: &[u8], value: &'a [u8]) -> Result<Payload<'a>, Refused> {
        Ok(Payload::Value(value))
    }

    fn branch(
        &mut self,
        slots: &[Option<Reference>; 16],
        value: Option<Payload<'_>>,
        key: &[u8],
        start: usize,
        depth: usize,
    ) -> Result<Reference, Refused> {
        if depth == ACCOUNT_DIGITS {
            let Some(Payload::Value(slim)) = value else {
                return Err(Refused("slots without their account"));
            };
            let account = Account::from_slim(slim)?;
            let computed = slots[0].map_or(EMPTY_ROOT, |storage| root(&storage));
            let claimed = if account.storage_root.is_empty() { &EMPTY_ROOT } else { account.storage_root };
            if computed != claimed {
                return Err(Refused("an account's slots do not fold to its storage root"));
            }
            return Ok(self.account(&key[..ACCOUNT_SIZE], &account, start));
        }
        if value.is_some() {
            return Err(Refused("a value inside the account trie or a storage trie"));
        }
        let branch = self.nodes.branch(slots, &[]);
        if depth == start {
            return Ok(branch);
        }
        if depth < ACCOUNT_DIGITS {
            return Ok(self.nodes.extension(branch, key, start, depth));
        }
        if start < STORAGE_DEPTH {
            return Err(Refused("slots without their account"));
        }
        Ok(self.nodes.extension(branch, &key[ACCOUNT_SIZE..], start - STORAGE_DEPTH, depth - STORAGE_DEPTH))
    }
}

fn root(storage: &Reference) -> [u8; 32] {
    match storage.bytes().try_into() {
        Ok(hash) => hash,
        Err(_) => keccak256(storage.bytes()),
    }
}
