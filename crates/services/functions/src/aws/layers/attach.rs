//! How functions take layers on.

use base::{Fault, limits};
use door::Context;

use crate::layer;
use crate::types::LayerUse;
use crate::{Functions, faults};

/// Where Lambda looks for extensions in a layer.
const EXTENSIONS: &str = "extensions/";

impl Functions {
    /// The layers a function asks for, with their code. Call it while code is held: a layer version that is deleted
    /// meanwhile leaves its code until the function's row names it.
    ///
    /// # Errors
    /// AWS's words for what cannot be a function's layers; `NotImplemented` for a layer that brings an extension.
    pub(in crate::aws) async fn attach(
        &self,
        context: &Context,
        operation: &str,
        arns: &[String],
    ) -> Result<Vec<LayerUse>, Fault> {
        let mut layers = Vec::with_capacity(arns.len());
        for ((layer, number), arn) in layer::wanted(&context.region, arns)?.iter().zip(arns) {
            let found = self.state.layer_version(layer, *number)?;
            if layer.account != context.account && found.as_ref().is_none_or(|found| !found.lets_in(context.account)) {
                return Err(faults::user(Fault::denied(format!(
                    "User: {} is not authorized to perform: lambda:GetLayerVersion on resource: {arn} because no \
                     resource-based policy allows the lambda:GetLayerVersion action",
                    context.principal.arn()
                ))));
            }
            let code = found.ok_or_else(|| layer::missing(arn))?.code;
            let contents = self.code.contents(&code).await?;
            if let Some(extension) = contents.paths.iter().find(|path| is_extension(path)) {
                return Err(Fault::not_implemented(format_args!(
                    "{operation}.Layers with extensions: {arn} brings /opt/{extension}"
                )));
            }
            layers.push(LayerUse { arn: arn.clone(), code });
        }
        Ok(layers)
    }

    /// Whether a function's code of so many bytes fits beside its layers. Call it while code is held.
    ///
    /// # Errors
    /// AWS's words when it does not.
    pub(in crate::aws) async fn fits(&self, code_bytes: u64, layers: &[LayerUse]) -> Result<(), Fault> {
        let mut layer_bytes = 0u64;
        for layer in layers {
            layer_bytes += self.code.tree(&layer.code).await?.size_bytes;
        }
        let (limit, together) = (limits::UNZIPPED_BYTES, code_bytes + layer_bytes);
        if layer_bytes > limit {
            return Err(faults::invalid(format!("Layers consume more than the available size of {limit} bytes")));
        }
        if together > limit {
            return Err(faults::invalid(format!(
                "Function code combined with layers exceeds the maximum allowed size of {limit} bytes. The actual size \
                 is {together} bytes."
            )));
        }
        Ok(())
    }
}

/// A program that Lambda would start beside the function.
fn is_extension(path: &str) -> bool {
    path.strip_prefix(EXTENSIONS).is_some_and(|name| !name.is_empty() && !name.contains('/'))
}
