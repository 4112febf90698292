//! The row macros of generated models. Each expands to plain items, so that a row compiles fast.

/// A structure: the Rust type and its accessors by index. The schema is a static of its own.
#[macro_export]
macro_rules! structure {
    ($name:ident = $shape:ident { $($index:literal $field:ident: $type:ty,)* }) => {
        #[doc = concat!("AWS's `", stringify!($name), "`.")]
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct $name {
            $(#[doc = concat!("Member ", stringify!($index), " of the shape.")] pub $field: Option<$type>,)*
        }
        impl $name {
            /// The schema.
            pub const SHAPE: &'static $crate::Shape = &$shape;
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
            #[allow(unused_variables, clippy::match_single_binding)]
            fn get(&self, index: usize) -> Option<&dyn $crate::Emit> {
                match index {
                    $($index => self.$field.as_ref().map(|value| value as &dyn $crate::Emit),)*
                    _ => None,
                }
            }
            #[allow(unused_variables, clippy::match_single_binding)]
            fn set(&mut self, index: usize, source: &mut dyn $crate::Source) -> Result<(), $crate::Malformed> {
                match index {
                    $($index => {
                        let shape = $shape.members()[$index].shape;
                        self.$field = Some(<$type as $crate::Accept>::accept(shape, source)?);
                    })*
                    _ => {}
                }
                Ok(())
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
