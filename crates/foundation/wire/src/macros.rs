//! The row macros of generated models. Each expands to plain items, so that a row compiles fast.

use std::fmt;

use crate::{Accept, Emit, Malformed, Shape, Source, Structure};

/// A member's value, if it is set.
pub fn seen<T: Emit>(field: &Option<T>) -> Option<&dyn Emit> {
    field.as_ref().map(|value| value as &dyn Emit)
}

/// Reads a member from a codec positioned at its value.
pub fn fill<T: Accept>(field: &mut Option<T>, shape: &'static Shape, source: &mut dyn Source) -> Result<(), Malformed> {
    *field = Some(T::accept(shape, source)?);
    Ok(())
}

/// The shape of the member at a position of `shape`; its own where there is none, which nothing reads.
pub fn shape_at(shape: &'static Shape, index: usize) -> &'static Shape {
    shape.members().get(index).map_or(shape, |member| member.shape)
}

/// Shows a generated structure.
pub fn show(value: &dyn Structure, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    crate::plain::show(value, f)
}

/// Compares two generated structures of one type.
pub fn same(one: &dyn Structure, other: &dyn Structure) -> bool {
    crate::plain::same(one, other)
}

/// A structure: the Rust type and its accessors by index. The schema is a static of its own. Each line here is compiled
/// thousands of times, so what can be one function for all structures is.
#[macro_export]
macro_rules! structure {
    ($name:ident = $shape:ident { $($index:literal $field:ident: $type:ty,)* }) => {
        #[doc = concat!("AWS's `", stringify!($name), "`, with its members under their own names.")]
        #[derive(Clone, Default)]
        #[allow(missing_docs)]
        pub struct $name {
            $(pub $field: Option<$type>,)*
        }
        impl $name {
            /// The schema.
            pub const SHAPE: &'static $crate::Shape = &$shape;
        }
        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                $crate::macros::show(self, f)
            }
        }
        impl ::std::cmp::PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                $crate::macros::same(self, other)
            }
        }
        impl $crate::Emit for $name {
            fn emit(&self, _: &'static $crate::Shape, sink: &mut dyn $crate::Sink) {
                sink.structure(self);
            }
        }
        impl $crate::Accept for $name {
            fn accept(_: &'static $crate::Shape, source: &mut dyn $crate::Source) -> Result<Self, $crate::Malformed> {
                let mut value = Self::default();
                source.structure(&mut value)?;
                Ok(value)
            }
        }
        impl $crate::Structure for $name {
            fn shape(&self) -> &'static $crate::Shape {
                &$shape
            }
            #[allow(clippy::match_single_binding)]
            fn get(&self, index: usize) -> Option<&dyn $crate::Emit> {
                match index {
                    $($index => $crate::macros::seen(&self.$field),)*
                    _ => None,
                }
            }
            #[allow(unused_variables, clippy::match_single_binding)]
            fn set(&mut self, index: usize, source: &mut dyn $crate::Source) -> Result<(), $crate::Malformed> {
                let shape = $crate::macros::shape_at(&$shape, index);
                match index {
                    $($index => $crate::macros::fill(&mut self.$field, shape, source),)*
                    _ => Ok(()),
                }
            }
        }
    };
}

/// An error: its row and the constructor of its fault.
#[macro_export]
macro_rules! error {
    ($function:ident = $row:ident($name:literal, $code:literal, $status:literal, $shape:ident)) => {
        #[doc = concat!("The row of `", $name, "`.")]
        pub static $row: $crate::ErrorShape =
            $crate::ErrorShape { name: $name, code: $code, status: $status, shape: &$shape };
        #[doc = concat!("`", $code, "`, HTTP ", $status, ".")]
        pub fn $function(message: impl Into<String>) -> base::Fault {
            base::Fault::new($code, $status, message)
        }
    };
}

/// An operation: its type and its row.
#[macro_export]
macro_rules! operation {
    ($name:ident = $row:ident in $service:ident, $method:literal $uri:literal $status:literal,
     $input:ty => $output:ty, $wrapper:literal, [$($error:ident),*], $action:literal on $resource:literal
     $(, root $root:literal)? $(, unwrapped $bare:literal)?) => {
        #[doc = concat!("The operation `", stringify!($name), "`.")]
        #[derive(Debug, Clone, Copy)]
        pub struct $name;
        #[doc = concat!("The row of `", stringify!($name), "`.")]
        pub static $row: $crate::Operation = $crate::Operation {
            name: stringify!($name),
            service: &super::$service,
            method: $method,
            uri: $uri,
            status: $status,
            input: || Box::new(<$input>::default()),
            input_shape: <$input>::SHAPE,
            output_shape: <$output>::SHAPE,
            result_wrapper: $wrapper,
            output_root: concat!($($root)? $($bare)?),
            unwrapped: !concat!($($bare)?).is_empty(),
            errors: &[$(&super::$error),*],
            action: $action,
            resource: $resource,
        };
        impl $crate::Op for $name {
            type Input = $input;
            type Output = $output;
            const ROW: &'static $crate::Operation = &$row;
        }
    };
}
