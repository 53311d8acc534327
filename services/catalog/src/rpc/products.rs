//! Products.

use api::{
    content, field,
    page::{Page, Token},
};
use proto::catalog::{
    CreateProductRequest, CreateProductResponse, DeleteProductRequest, DeleteProductResponse,
    GetProductRequest, GetProductResponse, ListProductsRequest, ListProductsResponse, UpdateProductRequest,
    UpdateProductResponse,
};
use sqlx::PgPool;

use super::product_reader::ProductReader;
use crate::{
    Error,
    convert::product as convert,
    domain::{ids::ProductId, product::Product, revision::Expected},
    store::products as store,
};

pub(super) async fn create(
    pool: &PgPool,
    request: &CreateProductRequest,
) -> Result<CreateProductResponse, Error> {
    let new = convert::new(request)?;
    let hash = content::digest(&convert::to_request(&new));
    let statements = async {
        let conn = &mut *pool.acquire().await?;
        if let Some(product) = store::insert(conn, &new, &hash).await? {
            return Ok(product);
        }
        // The id was used before, for good; or the sku is in use.
        match store::find(conn, new.id).await? {
            None => Err(Error::SkuTaken { sku: new.sku.clone() }),
            Some(found) if found.request_hash != hash => {
                Err(Error::IdReused { name: "product_id", id: new.id.into() })
            }
            found => present(new.id, found),
        }
    };
    let product = postgres::traced(pool, "CreateProduct", statements).await?;
    Ok(CreateProductResponse { product: Some(convert::to_proto(product)) })
}

pub(super) async fn get(
    products: &ProductReader,
    request: &GetProductRequest,
) -> Result<GetProductResponse, Error> {
    let id = ProductId::from(field::uuid("product_id", &request.product_id)?);
    Ok(GetProductResponse { product: Some(convert::to_proto(products.get(id).await?)) })
}

pub(super) async fn list(
    pool: &PgPool,
    request: &ListProductsRequest,
) -> Result<ListProductsResponse, Error> {
    let page = Page::parse(Token::new("ListProducts", &[]), request.page_size, &request.page_token)?;
    let statement = async { store::list(&mut *pool.acquire().await?, page.after, page.limit()).await };
    let products = postgres::traced(pool, "ListProducts", statement).await?;
    let (products, next_page_token) = page.cut(products, |product| product.id, convert::to_proto);
    Ok(ListProductsResponse { products, next_page_token })
}

pub(super) async fn update(
    pool: &PgPool,
    request: &UpdateProductRequest,
) -> Result<UpdateProductResponse, Error> {
    let (id, expected, change) = convert::change(request)?;
    let statements = async {
        let conn = &mut *pool.acquire().await?;
        if let Some(product) = store::update(conn, id, expected, &change).await? {
            return Ok(product);
        }
        // Nothing changed: there is no such product, or it has another revision, or it is so already.
        let product = present(id, store::find(conn, id).await?)?;
        if !expected.admits(product.revision) {
            return Err(Error::EtagMismatch { etag: product.revision.etag() });
        }
        Ok(product)
    };
    let product = postgres::traced(pool, "UpdateProduct", statements).await?;
    Ok(UpdateProductResponse { product: Some(convert::to_proto(product)) })
}

pub(super) async fn delete(
    pool: &PgPool,
    request: &DeleteProductRequest,
) -> Result<DeleteProductResponse, Error> {
    let id = ProductId::from(field::uuid("product_id", &request.product_id)?);
    let expected = Expected::from_etag(&request.etag);
    let statements = async {
        let conn = &mut *pool.acquire().await?;
        if store::delete(conn, id, expected).await? {
            return Ok(());
        }
        match store::find(conn, id).await? {
            None => Err(Error::ProductNotFound(id)),
            Some(found) if found.deleted => Ok(()),
            Some(found) if !expected.admits(found.product.revision) => {
                Err(Error::EtagMismatch { etag: found.product.revision.etag() })
            }
            // What remains is that units were held, even if they are not any more.
            Some(_) => Err(Error::HasOpenHolds { name: "product_id", id: id.into() }),
        }
    };
    postgres::traced(pool, "DeleteProduct", statements).await?;
    Ok(DeleteProductResponse {})
}

/// The product that was found, unless it was deleted.
pub(super) fn present(id: ProductId, found: Option<store::Found>) -> Result<Product, Error> {
    match found {
        Some(found) if !found.deleted => Ok(found.product),
        _ => Err(Error::ProductNotFound(id)),
    }
}
