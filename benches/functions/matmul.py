"""Two square matrices multiplied in Python alone, as FunctionBench's matmul does with numpy."""


def handler(event, context):
    n = event.get("n", 60)
    left = [[(i * j) % 7 + 1 for j in range(n)] for i in range(n)]
    right = [[(i + j) % 5 + 1 for j in range(n)] for i in range(n)]
    columns = list(zip(*right))
    product = [[sum(a * b for a, b in zip(row, column)) for column in columns] for row in left]
    return {"n": n, "trace": sum(product[i][i] for i in range(n))}
