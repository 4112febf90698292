//! The rows of layers. In `Control`: `layer/ACCOUNT/REGION/NAME` holds the last version number that was given, which is
//! never given again; `layer-version/ACCOUNT/REGION/NAME/NUMBER` is a version, the number in hexadecimal so that they lie
//! in order; `function-code/SHA256/layer/ACCOUNT/REGION/NAME/NUMBER` says that it uses that code.

use base::{Account, Fault, Region};
use bytes::Bytes;
use store::{Batch, Key, Range, Space};

use super::State;
use crate::layer::{Layer, LayerVersion};

/// Versions read at a time when one that matches is looked for.
const PAGE: usize = 100;

fn place(layer: &Layer) -> String {
    format!("{}/{}/{}", layer.account, layer.region, layer.name)
}

fn head_key(layer: &Layer) -> String {
    format!("layer/{}", place(layer))
}

fn versions(layer: &Layer) -> String {
    format!("layer-version/{}/", place(layer))
}

fn version_key(layer: &Layer, version: u64) -> String {
    format!("{}{version:016x}", versions(layer))
}

fn use_key(layer: &Layer, version: u64, sha256: &str) -> String {
    format!("function-code/{sha256}/layer/{}/{version}", place(layer))
}

impl State {
    /// Gives a layer version the layer's next number and writes it; answers with the number.
    pub(crate) async fn publish_layer(&self, layer: &Layer, version: LayerVersion) -> Result<u64, Fault> {
        let (layer, head) = (layer.clone(), head_key(layer));
        let keys = vec![Key::new(Space::Control, head.clone())];
        let run = move |rows: &store::Rows| {
            let last: Option<u64> = rows.json(Space::Control, head.as_bytes())?;
            let number = last.unwrap_or(0) + 1;
            let mut batch = Batch::new();
            batch.put_json(Space::Control, head.clone(), &number)?;
            batch.put_json(Space::Control, version_key(&layer, number), &version)?;
            batch.put(Space::Control, use_key(&layer, number, &version.code.sha256), Bytes::new());
            Ok((batch, number))
        };
        Ok(store::transact_with(&*self.kv, keys, run).await?)
    }

    /// A layer version, if it is there.
    pub(crate) fn layer_version(&self, layer: &Layer, version: u64) -> Result<Option<LayerVersion>, Fault> {
        Ok(store::get_json(&*self.kv, Space::Control, version_key(layer, version).as_bytes())?)
    }

    /// Changes the policy of a layer version, which must be there, or deletes the version.
    pub(crate) async fn alter_layer<T, F>(&self, layer: &Layer, version: u64, mut change: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: FnMut(Option<LayerVersion>) -> Result<(Option<LayerVersion>, T), Fault> + Send + 'static,
    {
        let (layer, key) = (layer.clone(), version_key(layer, version));
        let keys = vec![Key::new(Space::Control, key.clone())];
        let run = move |rows: &store::Rows| {
            let before: Option<LayerVersion> = rows.json(Space::Control, key.as_bytes())?;
            let used = before.as_ref().map(|before| use_key(&layer, version, &before.code.sha256));
            let (after, value) = change(before)?;
            let mut batch = Batch::new();
            match (after, used) {
                (Some(after), _) => drop(batch.put_json(Space::Control, key.clone(), &after)?),
                (None, Some(used)) => {
                    batch.delete(Space::Control, key.clone());
                    batch.delete(Space::Control, used);
                }
                (None, None) => {}
            }
            Ok((batch, value))
        };
        Ok(store::transact_with(&*self.kv, keys, run).await?)
    }

    /// At most `limit` versions of a layer that match, the newest first, older than `before` if that is given.
    pub(crate) fn layer_versions(
        &self,
        layer: &Layer,
        before: Option<u64>,
        limit: usize,
        matches: impl Fn(&LayerVersion) -> bool,
    ) -> Result<Vec<(u64, LayerVersion)>, Fault> {
        let mut found = Vec::new();
        let mut range = Range::prefix(versions(layer));
        if let Some(before) = before {
            range = range.before(version_key(layer, before));
        }
        loop {
            let rows = self.kv.range(Space::Control, range.clone(), PAGE, true)?;
            let Some((last, _)) = rows.last() else { return Ok(found) };
            range = range.before(last.clone());
            for (key, value) in &rows {
                let (number, version) = read(key, value).ok_or_else(damaged)?;
                if matches(&version) {
                    found.push((number, version));
                }
                if found.len() == limit {
                    return Ok(found);
                }
            }
        }
    }

    /// At most `limit` layers of an account in a region that have a version which matches, by name, after the name
    /// `after`, each with the newest such version.
    pub(crate) fn layers(
        &self,
        account: Account,
        region: &Region,
        after: Option<&str>,
        limit: usize,
        matches: impl Fn(&LayerVersion) -> bool,
    ) -> Result<Vec<(Layer, u64, LayerVersion)>, Fault> {
        let prefix = format!("layer/{account}/{region}/");
        let mut range = Range::prefix(prefix.clone());
        if let Some(name) = after {
            range = range.after(format!("{prefix}{name}"));
        }
        let mut found = Vec::new();
        loop {
            let rows = self.kv.range(Space::Control, range.clone(), PAGE, false)?;
            let Some((last, _)) = rows.last() else { return Ok(found) };
            range = range.after(last.clone());
            for (key, _) in &rows {
                let name = std::str::from_utf8(&key[prefix.len()..]).map_err(|_| damaged())?;
                let layer = Layer { account, region: region.clone(), name: name.to_owned() };
                if let Some((number, version)) = self.layer_versions(&layer, None, 1, &matches)?.pop() {
                    found.push((layer, number, version));
                }
                if found.len() == limit {
                    return Ok(found);
                }
            }
        }
    }
}

fn read(key: &[u8], value: &[u8]) -> Option<(u64, LayerVersion)> {
    let (_, number) = std::str::from_utf8(key).ok()?.rsplit_once('/')?;
    Some((u64::from_str_radix(number, 16).ok()?, serde_json::from_slice(value).ok()?))
}

fn damaged() -> Fault {
    Fault::internal("a layer's row does not read; the data folder is damaged")
}
