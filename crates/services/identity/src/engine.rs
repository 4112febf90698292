//! The room itself: its store, what it keeps in memory, and the port [`Keys`].

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use base::{Account, Clocks, Fault, Rng};
use door::{Credential, Keys, Temporary};
use model::iam;
use store::{Batch, Key, Kv, Rows, Space, transact_with};

use crate::faults;
use crate::holder::Kept;
use crate::policies::Compiled;
use crate::rules::credential::{self, Deriver, KeyKind};
use crate::sessions::Sessions;
use crate::state::{self, Kind, SPACE};
use crate::types::{AccessKey, Policy, Role, User};

/// What the room needs.
pub struct Options {
    /// Where everything is kept.
    pub kv: Arc<dyn Kv>,
    /// Creation dates follow product time, the end of credentials signing time.
    pub clocks: Arc<dyn Clocks>,
    /// Ids and secrets.
    pub rng: Arc<dyn Rng>,
    /// Whether every listener is bound to a loopback address: only then may an unverified caller do anything.
    pub loopback: bool,
}

/// Why the room cannot open.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error("the identities cannot be read: {0}")]
    Store(#[from] store::Error),
}

/// The room: access keys, STS and IAM.
pub struct Identity {
    pub(crate) kv: Arc<dyn Kv>,
    pub(crate) clocks: Arc<dyn Clocks>,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) loopback: bool,
    pub(crate) deriver: Deriver,
    // Every access key: the door asks for one on each request.
    keys: RwLock<KeyTable>,
    pub(crate) sessions: Sessions,
    pub(crate) compiled: Compiled,
    // The key made at the first start, until somebody took it to show it.
    first_key: Mutex<Option<(String, String)>>,
}

#[derive(Default)]
struct KeyTable {
    by_id: HashMap<String, AccessKey>,
    // Accounts with a key somebody made.
    claimed: HashSet<Account>,
}

impl KeyTable {
    fn count(&mut self) {
        self.claimed = self.by_id.values().filter(|key| !key.first).map(AccessKey::account).collect();
    }
}

impl Identity {
    /// Opens the room; on the first start it makes the platform's secret and the root key of account `000000000000`.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn open(options: Options) -> Result<Arc<Self>, Error> {
        let Options { kv, clocks, rng, loopback } = options;
        let first_key = begin(&*kv, &*clocks, &*rng).await?;
        let secret = kv.get(Space::Meta, state::PLATFORM_SECRET)?.unwrap_or_default();
        let mut keys = KeyTable { by_id: state::keys(&*kv)?.into_iter().collect(), claimed: HashSet::new() };
        keys.count();
        Ok(Arc::new(Self {
            deriver: Deriver::new(&secret),
            kv,
            clocks,
            rng,
            loopback,
            keys: RwLock::new(keys),
            sessions: Sessions::default(),
            compiled: Compiled::default(),
            first_key: Mutex::new(first_key),
        }))
    }

    /// The root key's id and secret, if this start made it; given once, so that they are shown once.
    pub fn first_key(&self) -> Option<(String, String)> {
        self.first_key.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Runs a transaction over control rows, after which no decision rests on older policies.
    pub(crate) async fn transact<T, F>(&self, rows: Vec<Vec<u8>>, f: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: FnMut(&Rows) -> Result<(Batch, T), Fault> + Send + 'static,
    {
        let keys = rows.into_iter().map(|row| Key::new(SPACE, row)).collect();
        let value = transact_with(&*self.kv, keys, f).await?;
        self.compiled.forget();
        Ok(value)
    }

    /// The role, or `NoSuchEntity`.
    pub(crate) fn role(&self, account: Account, name: &str) -> Result<Role, Fault> {
        self.kept(account, name)
    }

    /// The user, or `NoSuchEntity`.
    pub(crate) fn user(&self, account: Account, name: &str) -> Result<User, Fault> {
        self.kept(account, name)
    }

    /// The customer managed policy an ARN names, if there is one.
    pub(crate) fn policy(&self, account: Account, arn: &str) -> Result<Option<Policy>, Fault> {
        let Some(name) = policy_name(account, arn) else { return Ok(None) };
        let row = state::row(account, Kind::Policy, name);
        let policy: Option<Policy> = store::get_json(&*self.kv, SPACE, &row)?;
        Ok(policy.filter(|policy| policy.arn(account) == arn))
    }

    /// What callers call so, or `NoSuchEntity`.
    pub(crate) fn kept<K: Kept>(&self, account: Account, given: &str) -> Result<K, Fault> {
        let missing = || K::missing(given);
        let row = state::row(account, K::KIND, K::name_in(account, given).ok_or_else(missing)?);
        let kept: Option<K> = store::get_json(&*self.kv, SPACE, &row)?;
        kept.filter(|one| one.is_called(account, given)).ok_or_else(missing)
    }

    /// Makes a row, unless the name is taken or the account has as many as the quota says: its name and the number.
    pub(crate) async fn make<K: Kept>(
        &self,
        account: Account,
        name: &str,
        made: &K,
        (quota, most): (&str, usize),
        taken: String,
    ) -> Result<(), Fault> {
        if state::count(&*self.kv, &state::prefix(account, K::KIND), most)? >= most {
            return Err(faults::quota(quota, most));
        }
        let (row, made) = (state::row(account, K::KIND, name), made.clone());
        self.transact(vec![row.clone()], move |rows| {
            if rows.get(SPACE, &row).is_some() {
                return Err(iam::entity_already_exists_exception(taken.clone()));
            }
            let mut batch = Batch::new();
            batch.put_json(SPACE, row.clone(), &made)?;
            Ok((batch, ()))
        })
        .await
    }

    /// Changes what callers call so, as a whole.
    pub(crate) async fn change<K: Kept, F>(&self, account: Account, given: &str, mut change: F) -> Result<(), Fault>
    where
        F: FnMut(&mut K) -> Result<(), Fault> + Send + 'static,
    {
        let name = K::name_in(account, given).ok_or_else(|| K::missing(given))?;
        let (row, given) = (state::row(account, K::KIND, name), given.to_owned());
        self.transact(vec![row.clone()], move |rows| {
            let kept: Option<K> = rows.json(SPACE, &row)?;
            let kept = kept.filter(|one| one.is_called(account, &given));
            let mut kept = kept.ok_or_else(|| K::missing(&given))?;
            change(&mut kept)?;
            let mut batch = Batch::new();
            batch.put_json(SPACE, row.clone(), &kept)?;
            Ok((batch, ()))
        })
        .await
    }

    /// Takes a changed key row into memory. Under the lock it reads what is published, so that of two changes the
    /// later one stays.
    pub(crate) fn refresh_key(&self, id: &str) -> Result<(), Fault> {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        match store::get_json(&*self.kv, SPACE, &state::key_row(id))? {
            Some(key) => keys.by_id.insert(id.to_owned(), key),
            None => keys.by_id.remove(id),
        };
        keys.count();
        Ok(())
    }

    /// An access key by id.
    pub(crate) fn key(&self, id: &str) -> Option<AccessKey> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).by_id.get(id).cloned()
    }

    /// Whether the account has a key somebody made.
    pub(crate) fn is_claimed(&self, account: Account) -> bool {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).claimed.contains(&account)
    }

    /// The access keys of a user, or of the account's root, by id.
    pub(crate) fn keys_of(&self, account: Account, user: Option<&str>) -> Vec<(String, AccessKey)> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let theirs = keys.by_id.iter().filter(|(_, key)| key.account() == account && key.user.as_deref() == user);
        let mut theirs: Vec<_> = theirs.map(|(id, key)| (id.clone(), key.clone())).collect();
        theirs.sort_by(|a, b| (a.1.created_ms, &a.0).cmp(&(b.1.created_ms, &b.0)));
        theirs
    }

    /// Eight random bytes.
    pub(crate) fn noise(&self) -> [u8; 8] {
        let mut noise = [0; 8];
        self.rng.fill(&mut noise);
        noise
    }
}

/// The name in the ARN of a customer managed policy of `account`.
pub(crate) fn policy_name(account: Account, arn: &str) -> Option<&str> {
    let rest = arn.strip_prefix("arn:aws:iam::")?.strip_prefix(account.as_str())?.strip_prefix(":policy/")?;
    rest.rsplit('/').next().filter(|name| !name.is_empty())
}

/// What only the first start does. Gives the root key if this was it.
async fn begin(kv: &dyn Kv, clocks: &dyn Clocks, rng: &dyn Rng) -> Result<Option<(String, String)>, Error> {
    if kv.get(Space::Meta, state::PLATFORM_SECRET)?.is_some() {
        return Ok(None);
    }
    let mut secret = [0u8; 32];
    rng.fill(&mut secret);
    let mut noise = [0u8; 8];
    rng.fill(&mut noise);
    let id = credential::key_id(KeyKind::LongLived, Account::DEFAULT, noise);
    let key = AccessKey {
        account: Account::DEFAULT.to_string(),
        user: None,
        secret: credential::fresh_secret(rng),
        active: true,
        created_ms: clocks.product().0,
        first: true,
    };
    let shown = (id.clone(), key.secret.clone());
    let declared = vec![Key::new(Space::Meta, state::PLATFORM_SECRET)];
    let made = transact_with(kv, declared, move |rows| {
        let mut batch = Batch::new();
        let fresh = rows.get(Space::Meta, state::PLATFORM_SECRET).is_none();
        if fresh {
            batch.put(Space::Meta, state::PLATFORM_SECRET, secret.to_vec());
            batch.put_json(SPACE, state::key_row(&id), &key)?;
        }
        Ok((batch, fresh))
    })
    .await?;
    Ok(made.then_some(shown))
}

impl Keys for Identity {
    fn find(&self, key_id: &str) -> Option<Credential> {
        if let Some(key) = self.key(key_id) {
            // An inactive key stays known, so that it is refused also where unknown keys are let in.
            let (principal, void) = (key.principal(), !key.active);
            return Some(Credential { principal, secret: key.secret, session_token: None, expires: None, void });
        }
        self.session_credential(key_id)
    }

    fn account_has_keys(&self, account: Account) -> bool {
        self.is_claimed(account)
    }

    fn for_function(&self, account: Account, role: &str, session: &str) -> Temporary {
        self.function_session(account, role, session)
    }
}
