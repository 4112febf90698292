//! Permissions boundaries of roles and users.

use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::iam::{self, ops};
use wire::Unit;

use super::roles::check_boundary;
use crate::Identity;
use crate::holder::Holder;
use crate::types::{Role, User};

macro_rules! boundary {
    ($holder:ty, $name:ident, $put:ident $put_in:ident, $delete:ident $delete_in:ident) => {
        impl Handle<ops::$put> for Identity {
            async fn handle(
                self: Arc<Self>,
                context: Context,
                input: iam::$put_in,
                _: Body,
            ) -> Result<Answer<Unit>, Fault> {
                let arn = input.permissions_boundary;
                check_boundary(&self, context.account, arn.as_deref())?;
                self.change(context.account, &input.$name.unwrap_or_default(), move |held: &mut $holder| {
                    held.may_change()?;
                    held.boundary.clone_from(&arn);
                    Ok(())
                })
                .await?;
                Ok(Unit.into())
            }
        }

        impl Handle<ops::$delete> for Identity {
            async fn handle(
                self: Arc<Self>,
                context: Context,
                input: iam::$delete_in,
                _: Body,
            ) -> Result<Answer<Unit>, Fault> {
                self.change(context.account, &input.$name.unwrap_or_default(), |held: &mut $holder| {
                    held.may_change()?;
                    held.boundary = None;
                    Ok(())
                })
                .await?;
                Ok(Unit.into())
            }
        }
    };
}

boundary!(Role, role_name, PutRolePermissionsBoundary PutRolePermissionsBoundaryRequest,
    DeleteRolePermissionsBoundary DeleteRolePermissionsBoundaryRequest);
boundary!(User, user_name, PutUserPermissionsBoundary PutUserPermissionsBoundaryRequest,
    DeleteUserPermissionsBoundary DeleteUserPermissionsBoundaryRequest);
